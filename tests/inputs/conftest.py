from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from graphstorm_like.testing.text import tiny_text_model
from graphstorm_like.text.encoder import TextEncoder
from graphstorm_like.text.tokens import TokenStore, build_token_store

TEXTS = ["the graph library", "x", None, "a longer text of the data files for packages", "node edge", "tool files", "x"]


@pytest.fixture(scope="session")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_text_model(tmp_path_factory.mktemp("bert") / "model")


@pytest.fixture
def encoder(bert: Path) -> TextEncoder:
    return TextEncoder.load(bert, dtype="float32")


@pytest.fixture(scope="session")
def store(bert: Path, tmp_path_factory: pytest.TempPathFactory) -> TokenStore:
    tokenizer = TextEncoder.load(bert, dtype="float32").tokenizer
    return build_token_store(TEXTS, tokenizer, tmp_path_factory.mktemp("tokens"), 32)


@pytest.fixture
def ids() -> np.ndarray:
    return np.arange(len(TEXTS))
