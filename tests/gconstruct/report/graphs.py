"""Graphs whose reports are known."""

from __future__ import annotations

from pathlib import Path

from gconstruct import build_graph
from gconstruct.report.model import REPORT_JSON, GraphReport
from graphstorm_like.config.graph import GraphConfig

from ..tables import graph, item, link, write

ITEMS = {
    "id": ["a", "b", None, "c", "d", "a", "e", "f"],
    "price": [1.0, 2.0, 9.0, None, 4.0, 9.0, 5.0, 6.0],
    "same": [7.0] * 8,
    "kind": ["x", "x", "y", "x", "y", "y", "x", "z"],
    "title": ["ab cd", "", None, None, "ab cd", "q", "ünï", "a b c d"],
    "colour": ["red", "red", "red", "blue", "blue", "red", "red", None],
    "split": ["train", "train", "train", "valid", "test", "test", "train", "train"],
}
LINKS = {"source": ["a", "a", "a", "b", "c", "z", None], "target": ["b", "b", "c", "b", "c", "a", "a"]}


def config(folder: Path, **more: object) -> GraphConfig:
    """Six items (two rows left out), five edges (two left out), of which one is repeated and two are loops."""
    write(folder / "items.parquet", **ITEMS)
    write(folder / "links.parquet", **LINKS)
    items = item(
        on_bad_id="skip",
        features={
            "price": {"column": "price", "normalize": "none", "missing": "zero"},
            "same": {"column": "same", "normalize": "none"},
            "kind": {"column": "kind", "encode": "one_hot"},
        },
        text={"title": {"columns": "title"}},
        labels={"colour": {"column": "colour", "split": {"column": "split"}}},
    )
    made = graph(folder, {"item": items}, [link(on_bad_id="skip", on_unknown_node="drop")])
    return GraphConfig.model_validate({**made.model_dump(mode="json"), **more})


def report_of(made: GraphConfig) -> GraphReport:
    """Construct the graph and read its report."""
    build_graph(made, force=True)
    assert made.path is not None
    return GraphReport.model_validate_json((Path(made.path) / REPORT_JSON).read_bytes())
