"""Graph folders that several tests only read."""

from __future__ import annotations

from pathlib import Path

import pytest

from .methods import communities


@pytest.fixture(scope="session")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two communities."""
    return communities(tmp_path_factory.mktemp("planted"))
