from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from graphstorm_like.errors import ConfigError
from graphstorm_like.text.pooling import POOLINGS
from graphstorm_like.text.pooling_files import POOLER, POOLING_NAMES, detect_pooling, write_pooling

HIDDEN = torch.tensor([[[1.0, 8.0], [3.0, 2.0], [-5.0, 5.0]]])  # one text of 3 tokens
ANSWERS = {
    "mean": [-1 / 3, 5.0],
    "cls": [1.0, 8.0],
    "last_token": [-5.0, 5.0],
    "max": [3.0, 8.0],
    "weighted_mean": [(1 + 6 - 15) / 6, (8 + 4 + 15) / 6],
    "mean_sqrt_length": [-1 / 3**0.5, 15 / 3**0.5],
}


def test_every_pooling_has_an_answer() -> None:
    assert set(ANSWERS) == set(POOLINGS)
    assert (*POOLINGS, POOLER) == POOLING_NAMES


@pytest.mark.parametrize("name", ANSWERS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("left", "right"), [(0, 0), (0, 2), (2, 0)])
def test_known_answers_wherever_the_padding_stands(name: str, dtype: torch.dtype, left: int, right: int) -> None:
    hidden = torch.full((1, 3 + left + right, 2), 1000.0)
    hidden[:, left : left + 3] = HIDDEN
    mask = torch.zeros(1, 3 + left + right, dtype=torch.bool)
    mask[:, left : left + 3] = True
    got = POOLINGS[name](hidden.to(dtype), mask if left + right else None)
    assert got.dtype == torch.float32
    torch.testing.assert_close(
        got, torch.tensor([ANSWERS[name]]), rtol=1e-2 if dtype == torch.bfloat16 else 1e-5, atol=1e-5
    )


def write(folder: Path, files: dict[str, Any]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(json.dumps(content))
    return folder


def modules(*kinds: tuple[str, str]) -> list[dict[str, str]]:
    return [{"type": f"sentence_transformers.models.{kind}", "path": path} for kind, path in kinds]


POOLING_FILE = "1_Pooling/config.json"
PLAIN = modules(("Transformer", ""), ("Pooling", "1_Pooling"))


@pytest.mark.parametrize(
    ("config", "name"),
    [
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, "cls"),
        ({"pooling_mode_mean_tokens": True}, "mean"),
        ({"pooling_mode_lasttoken": True, "pooling_mode_mean_tokens": False}, "last_token"),
        ({"pooling_mode": "max"}, "max"),
        ({"pooling_mode": ["weightedmean"]}, "weighted_mean"),
        ({}, "mean"),
    ],
)
def test_sentence_transformers_files_old_and_new(tmp_path: Path, config: dict[str, Any], name: str) -> None:
    write(tmp_path, {"modules.json": PLAIN, POOLING_FILE: config})
    choice = detect_pooling(tmp_path)
    assert (choice.name, choice.normalize) == (name, False)


def test_normalise_limit_and_sub_folder(tmp_path: Path) -> None:
    parts = modules(("Transformer", "0_Transformer"), ("Pooling", "1_Pooling"), ("Normalize", "2_Normalize"))
    limit = {"0_Transformer/sentence_bert_config.json": {"max_seq_length": 200}}
    write(tmp_path, {"modules.json": parts, POOLING_FILE: {"pooling_mode": "mean"}, **limit})
    choice = detect_pooling(tmp_path)
    assert choice.normalize
    assert choice.default_max_tokens == 200
    assert choice.transformer_folder == tmp_path / "0_Transformer"
    assert detect_pooling(tmp_path, "cls").name == "cls"


@pytest.mark.parametrize(
    ("config", "name"),
    [
        ({"architectures": ["BertForMaskedLM"]}, "mean"),
        ({"architectures": ["LlamaForCausalLM"]}, "last_token"),
        ({"architectures": ["GPT2LMHeadModel"]}, "last_token"),
        ({"is_decoder": True}, "last_token"),
        ({}, "mean"),
    ],
)
def test_plain_folders(tmp_path: Path, config: dict[str, Any], name: str) -> None:
    assert detect_pooling(write(tmp_path, {"config.json": config})).name == name


def test_what_is_not_supported_is_said(tmp_path: Path) -> None:
    write(tmp_path, {"modules.json": [*PLAIN, *modules(("Dense", "2_Dense"))], POOLING_FILE: {}})
    with pytest.raises(ConfigError, match="the module Dense is not supported"):
        detect_pooling(tmp_path)
    assert detect_pooling(tmp_path, "mean").name == "mean"
    write(tmp_path, {"modules.json": PLAIN, POOLING_FILE: {"pooling_mode": ["mean", "max"]}})
    with pytest.raises(ConfigError, match=r"pooling must be one of .* \(got mean, max\)"):
        detect_pooling(tmp_path)
    with pytest.raises(ConfigError, match=r"unknown pooling 'men'.*Did you mean 'mean'"):
        detect_pooling(tmp_path, "men")
    (tmp_path / "modules.json").write_text("[")
    with pytest.raises(ConfigError, match="must be a readable JSON file"):
        detect_pooling(tmp_path)


@pytest.mark.parametrize("name", [*POOLINGS, "pooler"])
@pytest.mark.parametrize("normalize", [True, False])
def test_written_pooling_is_read_back(tmp_path: Path, name: str, normalize: bool) -> None:
    write_pooling(tmp_path, name, normalize, 32, 48)
    choice = detect_pooling(tmp_path)
    assert (choice.name, choice.normalize, choice.default_max_tokens) == (name, normalize, 48)
