"""Where output, cache, the graph folder and its tables lie."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from graphstorm_like.config import Pipeline, build_pipeline, load_pipeline

from .conftest import good_text

GOOD = good_text("link")


def test_defaults_start_at_the_yaml(load: Callable[..., Pipeline], tmp_path: Path) -> None:
    pipeline = load(GOOD)
    assert pipeline.output == str(tmp_path / "runs/papers")
    assert pipeline.cache == str(tmp_path / "runs/papers/cache")
    assert pipeline.graph.path == str(tmp_path / "runs/papers/graph")
    assert pipeline.graph.base == str(tmp_path)


def test_not_at_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/p.yaml").write_text(GOOD)
    monkeypatch.chdir(tmp_path)
    assert load_pipeline("a/p.yaml").output == str(tmp_path / "a/runs/papers")


@pytest.mark.parametrize(
    ("key", "given", "found"),
    [
        ("output", "out/{name}-1", "{here}/out/papers-1"),
        ("output", "/data/out", "/data/out"),
        ("output", "~/out/{name}", "{home}/out/papers"),
        ("cache", "{output}/c", "{here}/runs/papers/c"),
        ("cache", "caches/{name}", "{here}/caches/papers"),
        ("cache", "~/cache", "{home}/cache"),
        ("graph.path", "graphs/a", "{here}/graphs/a"),
        ("graph.path", "s3://bucket/graph", "s3://bucket/graph"),
        ("graph.base", "~/tables", "{home}/tables"),
        ("graph.base", "s3://bucket/tables", "s3://bucket/tables"),
    ],
)
def test_given(key: str, given: str, found: str, load: Callable[..., Pipeline], tmp_path: Path) -> None:
    at: object = load(GOOD, f"{key}='{given}'")
    for part in key.split("."):
        at = getattr(at, part)
    assert at == found.replace("{here}", str(tmp_path)).replace("{home}", str(Path.home()))


def test_the_name_may_come_from_an_override(load: Callable[..., Pipeline], tmp_path: Path) -> None:
    assert load(GOOD, "name=second").output == str(tmp_path / "runs/second")


def test_resolving_again_changes_nothing(load: Callable[..., Pipeline], tmp_path: Path) -> None:
    pipeline = load(GOOD)
    assert pipeline.with_absolute_paths(tmp_path / "elsewhere") == pipeline


def test_build_leaves_paths_alone() -> None:
    data = {
        "graph": {
            "nodes": {
                "a": {"files": "a.parquet", "id": "id", "labels": {"y": {"column": "y", "split": {"column": "s"}}}}
            }
        },
        "task": {"type": "node_classification", "node_type": "a", "label": "y"},
    }
    pipeline = build_pipeline(data)
    assert pipeline.output == "runs/{name}"
    assert pipeline.graph.path is None
