"""Where numbers of a training go, besides metrics.jsonl."""

from __future__ import annotations

import os
import re
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

from graphstorm_like.config.trackers import MlflowConfig, TensorBoardConfig, WandbConfig
from graphstorm_like.files import read_object, write_json
from graphstorm_like.registry import Registry

TRACKERS: Registry[type[RunTracker]] = Registry("train.track.trackers")


@dataclass(frozen=True, slots=True)
class TrackedRun:
    """What a tracker may know of the training whose numbers it gets."""

    project: str
    """The pipeline's name."""
    name: str
    """Of the training: the pipeline's name and the phase's folder."""
    folder: Path
    """Its own files go in here."""
    settings: Mapping[str, Any]
    """The resolved configuration."""
    resume_from: int = 0
    """Optimizer steps that an earlier process has done; numbers of later steps will come again."""


class RunTracker(ABC):
    """One training of one tracker. What goes wrong in it ends the tracking, and not the training."""

    @abstractmethod
    def __init__(self, config: Any, run: TrackedRun) -> None:
        """config: the tracker's own."""

    @abstractmethod
    def log(self, update: int, numbers: Mapping[str, float]) -> None:
        """Numbers after an optimizer step, named 'train/loss', 'valid/accuracy' ..."""

    @abstractmethod
    def close(self) -> None:
        """Flush: no more numbers come from this process."""


def flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """{'train.lr': '0.001', ...}: the leaves of a configuration as text; lists are leaves."""
    leaves: dict[str, str] = {}
    for key, value in settings.items():
        if isinstance(value, Mapping) and value:
            leaves |= flat(value, f"{prefix}{key}.")
        else:
            leaves[f"{prefix}{key}"] = str(value)
    return leaves


# MLflow: a folder of files, or a server.
#
# A resumed training goes on with the same MLflow run, whose id stands in mlflow-run.json. Numbers of steps behind the
# resume point are there twice then, with equal values: MLflow cannot take any back.


MLFLOW_RUN_FILE = "mlflow-run.json"
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
        earlier = (read_object(run.folder / MLFLOW_RUN_FILE) or {}) if run.resume_from else {}
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
        write_json(run.folder / MLFLOW_RUN_FILE, {"uri": uri, "experiment": name, "run": made.info.run_id})
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


@TRACKERS.register(TensorBoardConfig)
class TensorBoardTracker(RunTracker):
    """TensorBoard hides numbers behind the resume point by itself (`purge_step`)."""

    def __init__(self, config: TensorBoardConfig, run: TrackedRun) -> None:
        from torch.utils.tensorboard import SummaryWriter

        purge = run.resume_from + 1 if run.resume_from else None
        self._writer = SummaryWriter(str(run.folder / "tensorboard"), purge_step=purge)

    def log(self, update: int, numbers: Mapping[str, float]) -> None:
        """See RunTracker."""
        for name, value in numbers.items():
            self._writer.add_scalar(name, value, update)

    def close(self) -> None:
        """See RunTracker."""
        self._writer.close()


# Weights & Biases: files, or its service.
#
# A resumed training has the same id as before. Offline that makes a second folder, and `wandb sync` joins both; numbers
# of steps that the first one has already are left out there.


WANDB_RUN_FILE = "wandb-run.json"


@TRACKERS.register(WandbConfig)
class WandbTracker(RunTracker):
    """Only numbers and the configuration are recorded: neither source code nor packages, host or console."""

    def __init__(self, config: WandbConfig, run: TrackedRun) -> None:
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # nothing is sent behind the user's back
        import wandb

        earlier = (read_object(run.folder / WANDB_RUN_FILE) or {}) if run.resume_from else {}
        new_id = blake2b(os.urandom(16), digest_size=8).hexdigest()
        run_id = str(earlier.get("id", new_id))
        write_json(run.folder / WANDB_RUN_FILE, {"id": run_id, "mode": config.mode})
        settings = wandb.Settings(
            silent=True,
            console="off",
            disable_git=True,
            save_code=False,
            x_disable_stats=True,
            x_disable_meta=True,
            x_save_requirements=False,
            init_timeout=60,
        )
        self._run = wandb.init(
            mode=config.mode,
            dir=str(run.folder),
            project=config.project or run.project,
            entity=config.entity,
            name=run.name,
            id=run_id,
            resume="allow",
            config=dict(run.settings),
            settings=settings,
        )

    def log(self, update: int, numbers: Mapping[str, float]) -> None:
        """See RunTracker."""
        self._run.log(dict(numbers), step=update)

    def close(self) -> None:
        """See RunTracker."""
        self._run.finish()
