"""What a model folder holds, what it must not hold, and what is said of damaged ones."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from graphstorm_like.deploy.folder import open_model
from graphstorm_like.deploy.model import Model
from graphstorm_like.deploy.pack import pack
from graphstorm_like.errors import DataError, TrainingError
from graphstorm_like.files import files_below

from .conftest import Packed


def test_nothing_of_the_tables_and_no_path_travels(packed: Packed) -> None:
    secrets = [str(packed.pipeline.output).encode(), b"item-0001", b"novel", str(Path.home()).encode() + b"/"]
    texts = {"lm/shared/tokenizer.json", "lm/shared/vocab.txt"}  # the words of the language model
    for name in set(files_below(packed.folder)) - texts:
        content = (packed.folder / name).read_bytes()
        assert [secret for secret in secrets if secret in content] == [], name
    assert (packed.folder / "weights" / "embedding-1.ids.parquet").is_file()  # of users, who have learnt vectors


def test_the_same_run_gives_the_same_model(packed: Packed, tmp_path: Path) -> None:
    again = pack(packed.pipeline.output, tmp_path / "model")
    for name in files_below(packed.folder):
        assert (again / name).read_bytes() == (packed.folder / name).read_bytes(), name


def test_damage_is_named(packed: Packed, tmp_path: Path) -> None:
    copy = tmp_path / "model"
    shutil.copytree(packed.folder, copy)
    Model.load(copy)
    weights = copy / "weights" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(DataError, match=r"weights/model.safetensors: must hold what was written into it"):
        open_model(copy)
    weights.unlink()
    with pytest.raises(DataError, match=r"weights/model.safetensors: the file is missing"):
        open_model(copy)
    (copy / "model.json").write_text("{}", encoding="utf-8")
    with pytest.raises(DataError, match=r"must be a model folder \(got no whole model.json there\)"):
        open_model(copy)


def test_what_cannot_be_packed(packed: Packed, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="must be the output folder of a run"):
        pack(tmp_path, tmp_path / "model")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_text("x", encoding="utf-8")
    with pytest.raises(DataError, match="-o must be a model folder or not exist yet"):
        pack(packed.pipeline.output, tmp_path / "mine")
    with pytest.raises(DataError, match="must leave out only models that can be found by name"):
        pack(packed.pipeline.output, tmp_path / "model", frozen_lm=False)
    unfinished = tmp_path / "run"
    shutil.copytree(packed.pipeline.output, unfinished)
    (unfinished / "train" / "done.json").unlink()
    with pytest.raises(TrainingError, match="must hold a finished training"):
        pack(unfinished, tmp_path / "model")
    assert not (tmp_path / "model").exists()
