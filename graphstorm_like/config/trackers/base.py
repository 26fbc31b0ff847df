"""What every tracker has in its configuration, and the short form: `mlflow` for `{type: mlflow}`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, ClassVar, Self

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
