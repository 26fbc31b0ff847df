"""Tiny models, made once a test session, and a few texts with everything that breaks tokenizers."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
import torch

from graphstorm_like.testing.text import tiny_text_model
from graphstorm_like.text.encoder import TextEncoder

pytest.importorskip("transformers")

WORDS = ("graph", "node", "edge", "library", "package", "text", "xyz", "of", "q1", "data")


@pytest.fixture(scope="session")
def bert_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_text_model(tmp_path_factory.mktemp("bert"), "bert")


@pytest.fixture
def bert(bert_folder: Path) -> TextEncoder:
    return TextEncoder.load(bert_folder, dtype="float32")


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)  # tiny products: threads only add noise


@pytest.fixture
def texts() -> pa.ChunkedArray:
    """60 rows, 44 distinct: repeats, nulls, empty texts and lengths from 2 to beyond 64 tokens."""
    made = [" ".join(WORDS[(i * j) % 10] for j in range(1, 2 + i % 40)) for i in range(40)]
    rows: list[str | None] = [*made, None, "", "graph", *made[:15], None, "é ü 漢字 \U0001f600"]
    return pa.chunked_array([pa.array(rows[:25]), pa.array(rows[25:])])
