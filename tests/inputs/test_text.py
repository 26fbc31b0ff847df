"""Texts as inputs of an experiment, as the configuration asks for them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from graphstorm_like.config import Pipeline
from graphstorm_like.inputs.source import CachedText
from graphstorm_like.progress import Reporter
from graphstorm_like.testing.text import tiny_text_model
from graphstorm_like.training.experiment import build_experiment

pytest.importorskip("transformers")


@pytest.mark.parametrize("max_chunks", [None, 2])
def test_long_texts_in_pieces(shop_config: Callable[..., Pipeline], tmp_path: Path, max_chunks: int | None) -> None:
    encoder = {"name": str(tiny_text_model(tmp_path / "lm")), "max_tokens": 4, "dtype": "float32"}
    encoder |= {"long_texts": "chunk"} | ({} if max_chunks is None else {"max_chunks": max_chunks})
    config = shop_config(model={"inputs": {"item": {"text": ["title"]}}, "text_encoder": encoder})
    experiment = build_experiment(config, Reporter(quiet=True))
    source = experiment.sources["item"]["text:title"]
    assert isinstance(source, CachedText)
    store = source.cache.store
    assert np.diff(store.piece_offsets).max() == (max_chunks or 8)
    rows = source.rows(np.arange(store.num_rows))
    pieces = store.pieces(store.row_of_text[:1])[0]
    weights = store.weights(pieces)
    expected = (source.cache.vectors[pieces] * weights[:, None]).sum(axis=0) / weights.sum()
    np.testing.assert_allclose(rows[0], expected, atol=2e-3)
    mean, std = source.moments()
    np.testing.assert_allclose(mean, rows.astype(np.float64).mean(axis=0))  # of rows, not of their pieces
    np.testing.assert_allclose(std, rows.astype(np.float64).std(axis=0))
