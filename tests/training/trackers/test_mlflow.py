"""MLflow's files, read back by its own client; a server that is not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from graphstorm_like.training.tracking import read_metrics
from tests.training.trackers.tracked import track

pytest.importorskip("mlflow")
pytestmark = pytest.mark.slow  # the package takes seconds to import


@pytest.mark.known_answer("trackers/mlflow")
def test_a_resumed_training_goes_on_with_its_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert track(tmp_path, {"type": "mlflow", "uri": str(tmp_path / "shared")}, range(1, 4)) == []
    assert track(tmp_path, {"type": "mlflow", "uri": str(tmp_path / "shared")}, range(3, 5), resume_from=2) == []
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=(tmp_path / "shared").as_uri())
    experiment = client.get_experiment_by_name("shop")
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.data.params["train.lr"] == "0.01"
    assert run.info.status == "FINISHED"
    history = client.get_metric_history(run.info.run_id, "valid/hits_10")
    assert sorted({(metric.step, metric.value) for metric in history}) == [(1, 0.1), (2, 0.2), (3, 0.3), (4, 0.4)]


def test_a_server_that_is_away_ends_the_tracking_and_not_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    (said,) = track(tmp_path, {"type": "mlflow", "uri": "http://127.0.0.1:9"}, range(1, 3))
    assert said.startswith("train.track.trackers[0] (mlflow): gets no numbers from here on, and training goes on (")
    assert [record["update"] for record in read_metrics(tmp_path)] == [1, 2]
