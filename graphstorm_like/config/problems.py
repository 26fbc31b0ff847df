"""What checks between parts of the configuration report, and the rules that several of them share."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Protocol

from graphstorm_like.config.base import EdgeType, edge_name
from graphstorm_like.config.graph import EdgeConfig, GraphConfig, NodeConfig
from graphstorm_like.config.splits import SplitConfig
from graphstorm_like.errors import unknown

Path = tuple[str | int, ...]
Problem = tuple[Path, str]
"""(path in the YAML, message)"""


class ChosenInputs(Protocol):
    """Names of features and texts; None: all of them."""

    @property
    def features(self) -> list[str] | None:
        """Of features."""
        ...

    @property
    def text(self) -> list[str] | None:
        """Of texts."""
        ...


def below(at: Path, problems: Iterable[Problem]) -> Iterator[Problem]:
    """Problems of a part, whose paths begin at the part, with the whole path."""
    for path, message in problems:
        yield (*at, *path), message


def unknown_name(what: str, name: str, names: Iterable[str]) -> str:
    """A message that lists the known names and the nearest spelling."""
    return unknown("", what, name, names).removeprefix(": ")


def ends_known(graph: GraphConfig) -> bool:
    """Whether every edge names known node types. If not, unknown edge types are a consequence and not reported."""
    return all(edge.source in graph.nodes and edge.target in graph.nodes for edge in graph.edges)


def check_original(graph: GraphConfig, edge_type: EdgeType, at: Path) -> Iterator[Problem]:
    """The edge type must be one of graph.edges, not the reverse of one."""
    originals = [edge.edge_type for edge in graph.edges]
    if edge_type in originals:
        return
    for edge in graph.edges:
        if edge.reverse_type == edge_type:
            yield at, f"must be an edge type of graph.edges (got the reverse of '{edge_name(edge.edge_type)}')"
            return
    if ends_known(graph):
        yield at, unknown_name("edge type", edge_name(edge_type), map(edge_name, originals))


def check_input_names(at: Path, chosen: ChosenInputs, table: NodeConfig | EdgeConfig) -> Iterator[Problem]:
    """Features and texts must be in the table."""
    for i, name in enumerate(chosen.features or ()):
        if name not in table.features:
            yield (*at, "features", i), unknown_name("feature", name, table.features)
    for i, name in enumerate(chosen.text or ()):
        if name not in table.text:
            yield (*at, "text", i), unknown_name("text", name, table.text)


_ROWS_FOR = {"train": "to train on", "valid": "to validate on", "test": "to test on"}


def check_split(
    at: Path, what: str, key: str, split: SplitConfig | None, parts: Collection[str] = ("train", "valid", "test")
) -> Iterator[Problem]:
    """A split must leave no part empty on purpose: training, validation and test each need rows.

    what: 'a label', 'an edge type'; key: where the split stands in the YAML. parts: those that are looked at.
    """
    if split is None:
        return
    empty = [f"{key}.{part}" for part in split.empty_parts() if part.partition(":")[0] in parts]
    if empty:
        *first, last = (_ROWS_FOR[part] for part in ("train", "valid", "test") if part in parts)
        rows = f"{', '.join(first)} and {last}" if first else last
        yield at, f"must be {what} with rows {rows} (got {' and '.join(empty)})"
