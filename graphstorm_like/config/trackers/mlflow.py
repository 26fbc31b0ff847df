"""MLflow."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Literal, Self

from graphstorm_like.config.trackers.base import TrackerConfig


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
