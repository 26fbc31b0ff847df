"""The benchmark of training steps counts what was trained."""

from __future__ import annotations

from pathlib import Path

from bench_lm import measurable_phases, measure

from graphstorm_like.config import load_pipeline
from graphstorm_like.launch.stages import run_pipeline
from graphstorm_like.progress import Reporter
from graphstorm_like.testing.graphs import write_shop_pipeline
from graphstorm_like.testing.text import tiny_text_model


def test_a_row_a_kind(tmp_path: Path) -> None:
    yaml = write_shop_pipeline(tmp_path, text_model=str(tiny_text_model(tmp_path / "lm")))
    pipeline = load_pipeline(yaml, ["launch.threads=1", "train.lm.batch_size=16"])
    run_pipeline(pipeline, ["construct"], reporter=Reporter(quiet=True))
    rows = {kind: measure(pipeline, kind, 2) for kind in measurable_phases()}
    assert rows["gnn"]["texts trained"] == "0"
    assert rows["lm"]["seeds a step"] == "16"
    assert 0 < int(rows["lm"]["texts trained"]) <= 16
    assert int(rows["joint"]["texts trained"]) > int(rows["lm"]["texts trained"])
    assert not (tmp_path / "unused").exists()
