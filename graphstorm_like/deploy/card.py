"""README.md of a packed model: what it is, how good it is, how to use it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from graphstorm_like.deploy.run import FinishedRun


def write_card(run: FinishedRun, facts: Mapping[str, Any], scores: Mapping[str, Any], target: Path) -> None:
    """Write the model card. facts: see model.json."""
    target.write_text(f"# {facts['name']}\n", encoding="utf-8")
