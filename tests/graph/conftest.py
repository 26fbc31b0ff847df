"""The shop in several partitions."""

from __future__ import annotations

from pathlib import Path

import pytest

from gconstruct.partition import partition_graph


@pytest.fixture(scope="module")
def parted(shop: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """The shop in one and in three partitions."""
    folder = tmp_path_factory.mktemp("parted") / "three"
    partition_graph(shop[1], folder, 3)
    return {1: shop[1], 3: folder}
