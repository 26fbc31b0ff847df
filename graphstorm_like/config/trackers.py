"""`train.track.trackers`: where numbers of training go besides metrics.jsonl.

tensorboard   files beside the run
mlflow        a run of MLflow for each phase
wandb         a run of Weights & Biases for each phase
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, ClassVar, Literal, Self

from graphstorm_like.config.choice import Choice
from graphstorm_like.config.short_form import ShortForm


class TrackerConfig(Choice, tag="type"):
    """A place for the numbers of a training, besides metrics.jsonl."""

    module: ClassVar[str | None] = None
    """The module that it needs; None: none."""
    package: ClassVar[str] = ""
    """The package on PyPI that has the module"""
    extra: ClassVar[str] = ""
    """Of this library, which installs the package"""

    type: str

    def with_paths(self, absolute: Callable[[str], str]) -> Self:
        """With its paths made absolute."""
        return self


class _Short(ShortForm):
    """A tracker."""

    family = TrackerConfig


Tracked = Annotated[TrackerConfig, _Short()]


class MlflowConfig(TrackerConfig):
    """A run of MLflow for each phase of training, with the configuration as its parameters."""

    type: Literal["mlflow"]
    uri: str | None = None
    """A folder, in which MLflow's files are written, or a server, https://...; default: `mlruns/` beside metrics.jsonl.
    A server's password or token is read from MLflow's own environment variables."""
    experiment: str | None = None
    """Of MLflow; default: the pipeline's name."""

    module: ClassVar[str] = "mlflow"
    package: ClassVar[str] = "mlflow-skinny"
    extra: ClassVar[str] = "mlflow"

    def with_paths(self, absolute: Callable[[str], str]) -> Self:
        """With the folder made absolute."""
        return self if self.uri is None else self.model_copy(update={"uri": absolute(self.uri)})


class TensorBoardConfig(TrackerConfig):
    """TensorBoard's event files, in `tensorboard/` beside metrics.jsonl."""

    type: Literal["tensorboard"]

    module: ClassVar[str] = "tensorboard"
    package: ClassVar[str] = "tensorboard"
    extra: ClassVar[str] = "track"


class WandbConfig(TrackerConfig):
    """A run of Weights & Biases for each phase of training, in `wandb/` beside metrics.jsonl."""

    type: Literal["wandb"]
    mode: Literal["offline", "online"] = "offline"
    """offline: files alone, which `wandb sync` uploads when you wish. online: sent while training; the key is read from
    WANDB_API_KEY."""
    project: str | None = None
    """Of Weights & Biases; default: the pipeline's name."""
    entity: str | None = None
    """The user or team; default: that of the key."""

    module: ClassVar[str] = "wandb"
    package: ClassVar[str] = "wandb"
    extra: ClassVar[str] = "wandb"
