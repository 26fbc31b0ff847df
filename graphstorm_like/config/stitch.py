"""`gsl stitch`: which nodes of two graphs are the same, and which parts of the corpus are added to the application."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from graphstorm_like.config.base import EdgeTypeField, Name, PositiveInt, Strict


def _local(path: str) -> str:
    if "://" in path:
        raise ValueError("must be a local folder: graphs are memory-mapped. Copy it to a local disk")
    return path


Folder = Annotated[str, Field(min_length=1), AfterValidator(_local)]


class AlignConfig(Strict):
    """Which corpus nodes are the same as the nodes of an application node type: those with an equal key.

    Keys are compared as text, exactly. A key that several nodes of one side have, or one corpus node that nodes of
    two application types match, is not aligned: such nodes are counted as ambiguous.
    """

    corpus: Name
    """The corpus node type."""
    application_key: Name | None = None
    """A text of the application's graph folder; default: the node's own id."""
    corpus_key: Name | None = None
    """A text of the corpus's graph folder; default: the node's own id."""


class StitchConfig(Strict):
    """Aligned corpus nodes lend their neighbourhood to the application's nodes (GaLM, Xie et al., KDD 2023).

    Application nodes and edges stay as they are. Corpus nodes that are reached but not aligned get node
    types of their own without labels, so that no node lacks a feature. Corpus edges have no split: all of them are used
    for message passing.
    """

    application: Folder
    """The application's graph folder; paths are relative to the YAML."""
    corpus: Folder
    """The corpus's graph folder."""
    output: Folder
    """Where the stitched graph folder goes. A pipeline takes it with `graph: {path: ...}`."""
    align: Annotated[dict[Name, AlignConfig], Field(min_length=1)]
    """Per application node type."""
    hops: PositiveInt = 1
    """Edges are followed this many times from the aligned nodes, along and against their direction. An edge between
    two nodes of the last hop is not followed, and so not added."""
    edge_types: list[EdgeTypeField] | None = None
    """Corpus edge types to add; default: all. An edge type and its reverse go together, whichever is named."""
    leave_out: list[EdgeTypeField] = []
    """Corpus edge types that are never added, e.g. the one that the application predicts."""
    copies_of_split_edges: Literal["leave_out", "leave_out_held_out", "keep"] = "leave_out"
    """Corpus edges of any type between two application nodes that an edge with a split joins, in either direction.
    leave_out: not added; leave_out_held_out: only copies of validation and test edges are not added, so the corpus
    gives answers away in training only; keep: all are added, and scores of link prediction are meaningless.
    """
    max_neighbors: PositiveInt | None = None
    """Edges followed per node, edge type and direction in a hop, drawn by `seed`; default: all."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    prefix: Name = "corpus_"
    """Put before the names of node types and relations that come from the corpus."""

    def with_absolute_paths(self, base: Path) -> StitchConfig:
        """The same with its folders made absolute from `base`."""
        folders = {name: getattr(self, name) for name in ("application", "corpus", "output")}
        absolute = {name: str((base / Path(path).expanduser()).absolute()) for name, path in folders.items()}
        return self.model_copy(update=absolute)
