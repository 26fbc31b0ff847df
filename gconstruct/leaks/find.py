"""The leak guard: all findings about a graph folder, and what construction does about them.

It reads splits, labels and texts (where a node type has none, features and images) of labelled types once, and of edge
types all edges into the ends of at most MAX_PAIRS validation and test edges: no more than the hashes of the files do,
which construction makes anyway.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from gconstruct.leaks.base import LEAKS, Leak
from gconstruct.leaks.copies import node_leaks
from gconstruct.leaks.folder import LeakFolder
from gconstruct.leaks.order import split_leaks
from gconstruct.leaks.pairs import edge_leaks
from gconstruct.leaks.telling import telling_inputs
from gconstruct.problems import counted
from graphstorm_like.config.graph import GraphConfig
from graphstorm_like.errors import DataError
from graphstorm_like.files import write_json


def find_leaks(folder: str | Path, config: GraphConfig | None = None) -> list[Leak]:
    """Findings about every split of a graph folder; [] for none. config: what it was constructed of, to compare the
    splits of one table with each other."""
    graph = LeakFolder(Path(folder))
    found = list(edge_leaks(graph))
    for name, node in graph.manifest.nodes.items():
        found += node_leaks(graph, name, node)
    found += telling_inputs(graph)
    if config is not None and not config.is_built:
        found += split_leaks(graph, config)
    return found


def check_leaks(folder: Path, config: GraphConfig, say: Callable[[str], None]) -> None:
    """Look for leaks in a new graph folder, as `graph.on_leak` says, and keep the findings in leaks.json.

    Raises DataError that lists them all for on_leak: error.
    """
    if config.on_leak == "ignore":
        return
    found = find_leaks(folder, config)
    _refuse(found, config)
    write_json(folder / LEAKS, {"leaks": [leak.as_json() for leak in found]})
    for leak in found:
        say(leak.line())


def check_known_leaks(folder: Path, config: GraphConfig) -> None:
    """The same for a graph folder that is up to date: with on_leak: error the findings are an error, also when they
    were not before."""
    if config.on_leak != "error":
        return
    known = read_leaks(folder)
    _refuse(find_leaks(folder, config) if known is None else known, config)


def read_leaks(folder: str | Path) -> list[Leak] | None:
    """The findings that construction kept; None: it did not look."""
    with suppress(OSError, ValueError, TypeError, KeyError):
        entries = json.loads((Path(folder) / LEAKS).read_text(encoding="utf-8"))["leaks"]
        return [Leak(**{**entry, "examples": tuple(entry["examples"])}) for entry in entries]
    return None


def _refuse(found: list[Leak], config: GraphConfig) -> None:
    if found and config.on_leak == "error":
        lines = "\n".join(leak.line() for leak in found)
        raise DataError(
            f"graph.on_leak: splits must not give validation and test rows away (got {counted(len(found), 'finding')})."
            f" Correct the tables or splits, or set graph.on_leak: warn\n{lines}"
        )
