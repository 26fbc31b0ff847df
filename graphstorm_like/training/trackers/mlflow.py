"""MLflow: a folder of files, or a server.

A resumed training goes on with the same MLflow run, whose id stands in mlflow-run.json. Numbers of steps behind the
resume point are there twice then, with equal values: MLflow cannot take any back.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from pathlib import Path

from graphstorm_like.config.trackers import MlflowConfig
from graphstorm_like.files import read_object, write_json
from graphstorm_like.training.trackers.base import TRACKERS, RunTracker, TrackedRun, flat

RUN_FILE = "mlflow-run.json"
_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",  # nothing is sent behind the user's back
    "MLFLOW_ALLOW_FILE_STORE": "true",  # MLflow 3 asks for this before it writes plain files
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",  # a server that is away must not hold up training for minutes
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
}
_NAME = re.compile(r"[^\w./ -]")
_MAX_VALUE, _PARAMETERS_AT_ONCE = 500, 100


@TRACKERS.register(MlflowConfig)
class MlflowTracker(RunTracker):
    """By MLflow's client, without its global state."""

    def __init__(self, config: MlflowConfig, run: TrackedRun) -> None:
        for name, value in _ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        from mlflow.entities import Metric, Param
        from mlflow.tracking import MlflowClient

        self._metric = Metric
        uri = config.uri or str(run.folder / "mlruns")
        self._client = MlflowClient(tracking_uri=uri if "://" in uri else Path(uri).as_uri())
        earlier = (read_object(run.folder / RUN_FILE) or {}) if run.resume_from else {}
        self._run = str(earlier["run"]) if earlier.get("uri") == uri else self._new(config, run, uri)
        self._client.update_run(self._run, status="RUNNING")
        parameters = [Param(_name(key), text[:_MAX_VALUE]) for key, text in flat(run.settings).items()]
        for start in range(0, len(parameters), _PARAMETERS_AT_ONCE):
            self._client.log_batch(self._run, params=parameters[start : start + _PARAMETERS_AT_ONCE])

    def _new(self, config: MlflowConfig, run: TrackedRun, uri: str) -> str:
        name = config.experiment or run.project
        experiment = self._client.get_experiment_by_name(name)
        number = self._client.create_experiment(name) if experiment is None else experiment.experiment_id
        made = self._client.create_run(number, run_name=run.name)
        write_json(run.folder / RUN_FILE, {"uri": uri, "experiment": name, "run": made.info.run_id})
        return str(made.info.run_id)

    def log(self, update: int, numbers: Mapping[str, float]) -> None:
        """See RunTracker."""
        now = int(1000 * time.time())
        self._client.log_batch(
            self._run, metrics=[self._metric(_name(key), value, now, update) for key, value in numbers.items()]
        )

    def close(self) -> None:
        """See RunTracker."""
        self._client.set_terminated(self._run)


def _name(key: str) -> str:
    """'valid/hits@10' -> 'valid/hits_10': MLflow allows no other characters."""
    return _NAME.sub("_", key)
