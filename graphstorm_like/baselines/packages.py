"""The extra `baseline`, scikit-learn and the SciPy that it brings: asked for once, before anything is computed."""

from __future__ import annotations

from importlib.util import find_spec

from graphstorm_like.errors import MissingExtraError


def check_packages() -> None:
    """MissingExtraError when scikit-learn is not installed."""
    if find_spec("sklearn") is None:
        raise MissingExtraError("gsl baseline", "scikit-learn", "baseline")
