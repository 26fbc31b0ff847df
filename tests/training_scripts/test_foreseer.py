"""The recipe of forecasts: its tables say what they promise, and it runs from tables to the comparison."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from graphstorm_like.testing.text import tiny_text_model

pytest.importorskip("sklearn")
FOLDER = Path(__file__).parents[2] / "training_scripts" / "foreseer"
sys.path.insert(0, str(FOLDER))

import compare_snapshots as forecasts  # noqa: E402
import make_market  # noqa: E402


def test_drift_can_be_switched_off() -> None:
    rng = np.random.default_rng
    still, moving = make_market.profiles(rng(0), 0.0), make_market.profiles(rng(0), 0.5)
    np.testing.assert_array_equal(still, np.broadcast_to(still[0], still.shape))
    np.testing.assert_array_equal(still[0], moving[0])
    np.testing.assert_allclose(moving.sum(2), 1.0)
    near, far = (np.abs(moving[-1] - moving[i]).sum(1).mean() for i in (-2, 0))
    assert 0.2 < near < far


def test_labels_are_what_comes_and_nothing_else(tmp_path: Path) -> None:
    make_market.make_market(tmp_path, 0.5, products=30)
    at = {row["id"]: row["at"] for row in forecasts.read(tmp_path, "review")}
    of = {row["source"]: row["target"] for row in forecasts.read(tmp_path, "of")}
    wanted: dict[tuple[str, float], set[str]] = {}
    for pair in forecasts.read(tmp_path, "mentions"):
        wanted.setdefault((of[pair["source"]], float(int(at[pair["source"]]))), set()).add(pair["target"])
    rows = forecasts.read(tmp_path, "forecast")
    assert len(rows) > 60
    assert all(set(row["aspects"]) == wanted[row["product"], row["at"]] for row in rows)
    assert {row["at"] for row in rows} == {1.0, 2.0, 3.0, 4.0, 5.0, 6.0}


def test_auprc_by_hand() -> None:
    wanted = np.array([[1, 0, 0], [0, 1, 0], [1, 0, 0]])
    scores = np.array([[0.9, 0.1, 0.0], [0.5, 0.9, 0.0], [0.1, 0.2, 0.0]])
    assert forecasts.auprc(wanted, scores) == pytest.approx((0.5 * (1 + 2 / 3) + 1) / 2)
    assert forecasts.auprc(wanted, scores, np.array([1, 2])) == 1.0


def test_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """With a tiny language model, one seed and few products."""
    model = tiny_text_model(tmp_path / "lm")
    settings = [f"model.text_encoder.name={model}", "model.gnn.hidden=8", "train.epochs=4", "train.evaluate_every=4"]
    few = ["--products", "25", "--seeds", "0", "--drifts", "0.5", "--out", str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", ["compare_snapshots.py", *few, *settings, "task.snapshots={width: 1, epochs: 1}"])
    monkeypatch.setattr(forecasts, "MODELS", {"one after another": []})
    forecasts.main()
    table = capsys.readouterr().out
    assert table.startswith("\ndrift 0.5\n| | all | cold | rare |")
    assert "| one after another | 0." in table
    folder = tmp_path / "out" / "drift-0.5-0" / "one-after-another"
    assert set(pq.read_table(folder / "infer" / "predictions")["split"].to_pylist()) == {"train", "valid", "test"}
