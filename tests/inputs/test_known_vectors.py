"""Vectors that are in the cache are found without loading the language model; others are not taken for them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from graphstorm_like.config import Pipeline, build_pipeline
from graphstorm_like.graph.local import LocalGraph
from graphstorm_like.inputs.choose import all_texts
from graphstorm_like.inputs.source import TextVectors
from graphstorm_like.inputs.text import text_vectors
from graphstorm_like.progress import Reporter
from graphstorm_like.testing.graphs import shop_pipeline
from graphstorm_like.testing.text import tiny_text_model
from graphstorm_like.text.encoder import TextEncoder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_text_model(tmp_path_factory.mktemp("lm"))


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the models that were loaded."""
    names: list[str] = []
    load = TextEncoder.load.__func__  # type: ignore[attr-defined]

    def noted(cls: type, name: str, *rest: Any, **settings: Any) -> TextEncoder:
        names.append(name)
        return load(cls, name, *rest, **settings)

    monkeypatch.setattr(TextEncoder, "load", classmethod(noted))
    return names


def pipeline_of(shop: tuple[Path, Path], folder: Path, model: Path, **encoder: object) -> Pipeline:
    data = shop_pipeline(shop[0], folder / "run", text_model=str(model))
    data["graph"]["path"], data["cache"] = str(shop[1]), str(folder / "cache")
    data["model"]["text_encoder"] |= {"dtype": "float32", **encoder}
    return build_pipeline(data).with_absolute_paths(folder)


def vectors(pipeline: Pipeline, shop: tuple[Path, Path]) -> np.ndarray:
    return embedded(pipeline, LocalGraph(shop[1]))["item"]["title"].rows(np.arange(240))


def embedded(pipeline: Pipeline, graph: LocalGraph) -> TextVectors:
    wanted = all_texts(pipeline.model, pipeline.task, graph.manifest)
    cpu = torch.device("cpu")
    return text_vectors(pipeline.model, wanted, graph, Path(pipeline.cache), cpu, Reporter(quiet=True))


def test_a_second_time_needs_no_model(shop: tuple[Path, Path], tmp_path: Path, model: Path, loads: list[str]) -> None:
    pipeline = pipeline_of(shop, tmp_path, model)
    first = vectors(pipeline, shop)
    assert len(loads) == 1
    np.testing.assert_array_equal(vectors(pipeline, shop), first)
    vectors(pipeline_of(shop, tmp_path, model, batch_tokens=512), shop)  # which changes no vector
    assert len(loads) == 1


@pytest.mark.parametrize("change", ["pooling", "max_tokens", "weights", "graph", "cache", "note"])
def test_what_else_could_come_out_is_asked_anew(
    shop: tuple[Path, Path], tmp_path: Path, model: Path, loads: list[str], change: str
) -> None:
    vectors(pipeline_of(shop, tmp_path, model), shop)
    settings: dict[str, object] = {"pooling": {"pooling": "cls"}, "max_tokens": {"max_tokens": 5}}.get(change, {})
    before = {p: p.stat() for p in model.iterdir()}
    (note,) = (tmp_path / "cache").glob("known-*.json")
    graph = LocalGraph(shop[1])
    if change == "weights":
        (model / "more.txt").write_text(str(tmp_path))
    elif change == "graph":
        hashes = dict.fromkeys(graph.manifest.hashes, "another")
        object.__setattr__(graph, "manifest", graph.manifest.model_copy(update={"hashes": hashes}))
    elif change == "cache":
        (tmp_path / "cache" / json.loads(note.read_text())["vectors"] / "meta.json").unlink()
    elif change == "note":
        note.write_text("{")
    embedded(pipeline_of(shop, tmp_path, model, **settings), graph)
    assert len(loads) == 2
    for extra in set(model.iterdir()) - set(before):
        extra.unlink()
