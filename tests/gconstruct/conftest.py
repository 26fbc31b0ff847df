"""The two graph folders that stitching tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

from .stitching import application, corpus


@pytest.fixture
def both(tmp_path: Path) -> Path:
    application(tmp_path / "app")
    corpus(tmp_path / "corpus")
    return tmp_path
