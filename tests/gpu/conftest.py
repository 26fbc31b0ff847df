"""`pytest -m gpu` fails where there is no GPU: a run that skips everything must not look like one that passed."""

from __future__ import annotations

import pytest

from graphstorm_like.bench.gpu import why_no_gpu


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not (reason := why_no_gpu()):
        return
    if config.option.markexpr == "gpu":
        pytest.exit(f"the GPU's tests must run on a machine with a GPU ({reason}). Nothing was tested", returncode=6)
    for item in items:
        if item.get_closest_marker("gpu"):
            item.add_marker(pytest.mark.skip(reason=reason))
