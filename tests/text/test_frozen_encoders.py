"""Text encoders other than language models: a plug-in brings one, and vectors go into the same cache."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from graphstorm_like.config import build_pipeline
from graphstorm_like.config.pipeline import Pipeline
from graphstorm_like.config.text_encoders import HuggingFaceConfig
from graphstorm_like.errors import ConfigError, DataError
from graphstorm_like.launch.stages import run_pipeline
from graphstorm_like.progress import Reporter
from graphstorm_like.testing.graphs import shop_pipeline, write_shop
from graphstorm_like.text.encoders import FrozenTextEncoder, TextJob

PLUGIN = Path(__file__).parents[2] / "training_scripts" / "extend" / "text_encoder_hashed_words.py"
TEXTS = pa.array(["red shoes", None, "blue shoes", "", "red shoes", "a hat"], pa.large_string())


class Lengths(FrozenTextEncoder):
    """Vectors [length, 1]; counts what it is asked."""

    batch_size = 2
    width = 2

    def __init__(self, fail_after: int | None = None, rows: Any = None) -> None:
        self.calls: list[list[str]] = []
        self.fail_after, self.rows = fail_after, rows

    def fingerprint(self) -> str:
        return "lengths"

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        if self.fail_after is not None and len(self.calls) >= self.fail_after:
            raise KeyboardInterrupt
        self.calls.append(list(texts))
        return np.array([[len(t), 1] for t in texts], dtype=np.float32) if self.rows is None else self.rows


def job(folder: Path, texts: pa.Array = TEXTS) -> TextJob:
    return TextJob(texts, folder, "item.title", lambda what, done, total: None)


def test_every_distinct_text_is_embedded_once(tmp_path: Path) -> None:
    encoder = Lengths()
    cache = encoder.embed(job(tmp_path))
    assert encoder.calls == [["red shoes", ""], ["blue shoes", "a hat"]]
    assert cache.gather(np.arange(6))[:, 0].tolist() == [9, 0, 10, 0, 9, 5]
    again = Lengths()
    assert again.embed(job(tmp_path, TEXTS[:])).gather([5]).tolist() == [[5, 1]]
    assert again.calls == []


def test_a_sweep_that_was_stopped_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("graphstorm_like.text.cache._FLUSH_EVERY_S", -1.0)
    with pytest.raises(KeyboardInterrupt):
        Lengths(fail_after=1).embed(job(tmp_path))
    rest = Lengths()
    assert rest.embed(job(tmp_path)).gather(np.arange(6))[:, 0].tolist() == [9, 0, 10, 0, 9, 5]
    assert rest.calls == [["blue shoes", "a hat"]]


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (np.zeros((2, 3)), r"must give vectors of shape \(2, 2\) for 2 texts \(got \(2, 3\)\)"),
        (np.full((2, 2), np.nan), "must give finite vectors below 65,504"),
        (np.full((2, 2), 1e6), r"must give finite vectors below 65,504 \(got 1000000.0\)"),
    ],
)
def test_vectors_that_cannot_be_kept(tmp_path: Path, rows: np.ndarray, says: str) -> None:
    with pytest.raises(DataError, match=says):
        Lengths(rows=rows).embed(job(tmp_path))


def test_no_rows(tmp_path: Path) -> None:
    assert len(Lengths().embed(job(tmp_path, TEXTS[:0]))) == 0


def shop(folder: Path, encoder: dict[str, object], **train: object) -> Pipeline:
    write_shop(folder / "tables")
    data = shop_pipeline(folder / "tables", folder / "run", text_model="unused")
    data["model"]["text_encoder"], data["plugins"] = encoder, [str(PLUGIN)]
    data["train"] |= {"epochs": 1, **train}
    return build_pipeline(data, plugins=True).with_absolute_paths(folder)


def test_a_pipeline_with_an_encoder_of_the_users_own(tmp_path: Path) -> None:
    pipeline = shop(tmp_path, {"type": "hashed_words", "width": 32})
    run_pipeline(pipeline, ["construct", "train", "evaluate"], reporter=Reporter(quiet=True))
    (meta,) = (tmp_path / "run/cache").glob("vectors-*/meta.json")
    facts = json.loads(meta.read_text())
    assert facts["weights"].startswith("hashed words 1, width 32 of text_encoder_hashed_words:")
    assert facts["dim"] == 32
    assert next((tmp_path / "run").rglob("text_models.json")).read_text().count("hashed words 1, width 32") == 1


def test_it_cannot_be_trained(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"model.text_encoder.type: must be huggingface to be trained \(got 'hashed_"):
        shop(tmp_path, {"type": "hashed_words"}, strategy="joint")


def test_without_a_type_it_is_a_hugging_face_model(tmp_path: Path) -> None:
    encoder = shop(tmp_path, {"name": "./model"}).model.text_encoder
    assert encoder == HuggingFaceConfig(name=str(tmp_path / "model"))
    with pytest.raises(ConfigError, match=r"(?s)type.*hugingface.*Did you mean 'huggingface'"):
        shop(tmp_path, {"type": "hugingface", "name": "x"})


def test_a_damaged_note_of_distinct_texts_is_refused(tmp_path: Path) -> None:
    Lengths().embed(job(tmp_path))
    (rows,) = tmp_path.glob("texts-*/row_of_text.npy")
    content = bytearray(rows.read_bytes())
    content[-8] ^= 1
    rows.write_bytes(content)
    with pytest.raises(DataError, match=r"row_of_text\.npy"):
        Lengths().embed(job(tmp_path))


def test_a_changed_plug_in_computes_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("graphstorm_like.text.raw.plugin_of", lambda module: ("lengths", "first content"))
    Lengths().embed(job(tmp_path))
    again = Lengths()
    again.embed(job(tmp_path))
    assert again.calls == []
    monkeypatch.setattr("graphstorm_like.text.raw.plugin_of", lambda module: ("lengths", "second content"))
    changed = Lengths()
    changed.embed(job(tmp_path))
    assert len(changed.calls) == 2
