"""The benchmarks are scripts beside the packages, not a package: their folder goes on the path as when one runs."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))


@pytest.fixture(scope="session")
def bert_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny language model as a Hugging Face folder."""
    pytest.importorskip("transformers")
    from graphstorm_like.testing.text import tiny_text_model

    return tiny_text_model(tmp_path_factory.mktemp("bert"), "bert")
