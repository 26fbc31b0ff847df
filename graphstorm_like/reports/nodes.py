"""What is known of nodes beside their predictions: degrees, texts, neighbours, as the model sees them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from graphstorm_like.config.base import edge_name
from graphstorm_like.config.train import FanoutByType
from graphstorm_like.graph.store import Graph, IntArray, NodeType, RowType
from graphstorm_like.reports.intervals import SEED
from graphstorm_like.reports.model import NamedNode

TEXT_CHARACTERS, ID_CHARACTERS, NAME_CHARACTERS, NEIGHBORS = 280, 80, 40, 4


def degrees(graph: Graph, node_type: NodeType) -> IntArray:
    """[count] edges of any type, reverses included, into each node of the message graph."""
    total = np.zeros(graph.manifest.node(node_type).count, dtype=np.int64)
    for edge in graph.manifest.edges:
        if edge.edge_type[2] == node_type:
            total += graph.degrees(edge.edge_type)
    return total


def text_bytes(graph: Graph, row_type: RowType, rows: IntArray) -> IntArray | None:
    """[n] UTF-8 bytes of all texts of some rows; None: the type has no texts. Read from the offsets, not the texts."""
    names = text_names(graph, row_type)
    if not names:
        return None
    total = np.zeros(len(rows), dtype=np.int64)
    for name in names:
        lengths = pc.fill_null(pc.binary_length(graph.text(row_type, name)), 0)
        total += lengths.to_numpy(zero_copy_only=False).astype(np.int64)[rows]
    return total


def text_names(graph: Graph, row_type: RowType) -> list[str]:
    """Names of a type's texts."""
    of_type = graph.manifest.node(row_type) if isinstance(row_type, str) else graph.manifest.edge(row_type)
    return list(of_type.text)


def texts_of(graph: Graph, row_type: RowType, row: int) -> dict[str, str]:
    """The texts of a row by name, cut; nulls are left out."""
    found = {}
    for name in text_names(graph, row_type):
        text = graph.text(row_type, name)[row]
        if text.is_valid:
            found[name] = cut_text(text)
    return found


def cut_text(text: pa.LargeStringScalar) -> str:
    """The beginning of a text; one of many megabytes is not decoded."""
    buffer = text.as_buffer()
    if buffer is None:
        return ""
    start: str = (
        buffer.slice(0, min(buffer.size, 4 * TEXT_CHARACTERS + 4)).to_pybytes().decode("utf-8", errors="ignore")
    )
    return start if len(start) <= TEXT_CHARACTERS else start[:TEXT_CHARACTERS].rstrip() + " …"


def ids_of(graph: Graph, node_type: NodeType, nodes: IntArray) -> list[str]:
    """The user's ids as text, cut."""
    return [cut_id(value) for value in graph.ids_of(node_type, nodes).to_pylist()]


def cut_id(value: object) -> str:
    """An id as text, cut."""
    text = str(value)
    return text if len(text) <= ID_CHARACTERS else text[: ID_CHARACTERS - 1] + "…"


def named_nodes(graph: Graph, node_type: NodeType, nodes: IntArray) -> list[NamedNode]:
    """Return nodes with their ids and what they are called."""
    ids = ids_of(graph, node_type, nodes)
    return [NamedNode(id=key, name=name_of(graph, node_type, node)) for key, node in zip(ids, nodes, strict=True)]


def name_of(graph: Graph, node_type: NodeType, node: int) -> str:
    """Return the first words of a node's text in one line; without a text the class that it is labelled with; else an
    empty string."""
    for text in texts_of(graph, node_type, int(node)).values():
        line = " ".join(text.split())
        if line:
            return line if len(line) <= NAME_CHARACTERS else f"{line[: NAME_CHARACTERS - 1].rstrip()}…"
    for label, schema in graph.manifest.node(node_type).labels.items():
        if schema.kind == "class":
            position = int(graph.label(node_type, label)[node])
            if position >= 0:
                return cut_id(schema.classes[position])[:NAME_CHARACTERS]
    return ""


def neighbors(graph: Graph, node_type: NodeType, nodes: IntArray) -> dict[int, dict[str, list[NamedNode]]]:
    """Return, by node and edge type, up to NEIGHBORS nodes drawn from those with an edge to it."""
    seeds = np.unique(nodes)
    found: dict[int, dict[str, list[NamedNode]]] = {int(node): {} for node in seeds}
    if not len(seeds):
        return found
    drawn = graph.sample({node_type: seeds}, [FanoutByType(default=NEIGHBORS)], np.random.default_rng(SEED))
    for edge_type, relation in drawn.blocks[0].relations.items():
        sources = drawn.input_ids[edge_type[0]][relation.sources]
        for target, begin, end in _spans(relation.rows, relation.offsets):
            linked = np.array(list(dict.fromkeys(sources[begin:end].tolist())), dtype=np.int64)
            found[int(seeds[target])][edge_name(edge_type)] = named_nodes(graph, edge_type[0], linked)
    return found


def _spans(rows: IntArray, offsets: IntArray) -> Iterator[tuple[int, int, int]]:
    yield from zip(rows.tolist(), offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)
