"""What every tracker has in its configuration, and the short form: `mlflow` for `{type: mlflow}`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Self

from pydantic import BeforeValidator

from graphstorm_like.config.base import Accepts
from graphstorm_like.config.choice import Choice


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


def _long_form(value: Any) -> Any:
    return {"type": value} if isinstance(value, str) else value


Tracked = Annotated[TrackerConfig, BeforeValidator(_long_form), Accepts("string")]
