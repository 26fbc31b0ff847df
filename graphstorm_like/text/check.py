"""Problems of a text encoder that can be found before anything is loaded.

Reads a model folder's JSON files alone: neither torch nor transformers is imported, so that a configuration is
checked in milliseconds. Other problems are found when the model is loaded.
"""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

from graphstorm_like.config.text_encoders import HuggingFaceConfig
from graphstorm_like.config.tuning import TuneConfig
from graphstorm_like.errors import ConfigError, GslError, MissingExtraError
from graphstorm_like.text.folders import hub_cache_folder, hub_is_offline, installed_folder
from graphstorm_like.text.pooling_files import detect_pooling

Problem = tuple[str, str]
"""(dotted key, message without it)."""

# These models number positions from pad_token_id + 1: the first rows of their table hold no token. For models missing
# here, a max_tokens that is slightly too large is found only when the model is loaded.
_OFFSET_POSITIONS = {
    "camembert", "data2vec-text", "ibert", "longformer", "mpnet", "roberta", "roberta-prelayernorm", "xlm-roberta",
    "xlm-roberta-xl", "xmod",
}  # fmt: skip
_MPNET_PADDING = 1
"""MPNet's own, whatever its configuration says."""
_LEAST_TOKENS = 3


def problems_of_encoder(
    config: HuggingFaceConfig, tune: TuneConfig | None = None, where: str = "model.text_encoder"
) -> list[Problem]:
    """Everything about this text encoder that would stop a run, as far as files and installed packages show.

    A Hugging Face name that is not in the local cache is a problem only while downloads are forbidden: otherwise
    `download_notice` says what will happen.

    Args:
        tune: how the language model is trained (`train.lm.tune`); None: it is not.
        where: dotted key of the encoder's section.
    """
    problems: list[Problem] = []
    if importlib.util.find_spec("transformers") is None:
        problems.append((where, str(MissingExtraError("a language model", "transformers", "text"))))
    if tune is not None:
        problems += _missing_packages(tune)
    key = f"{where}.name"
    try:
        folder = installed_folder(config.name, key)
    except GslError as problem:
        return [*problems, (key, str(problem).removeprefix(f"{key}: "))]
    if folder is None:
        folder = hub_cache_folder(config.name)
        if folder is None:
            return [*problems, (key, _not_in_the_cache(config.name))] if hub_is_offline() else problems
    return problems + _problems_of_folder(folder, config, where)


def _missing_packages(tune: TuneConfig) -> list[Problem]:
    problems: list[Problem] = []
    for package, extra in tune.packages.items():
        if importlib.util.find_spec(package) is None:
            problems.append(("train.lm.tune.type", str(MissingExtraError(tune.type, package, extra))))
    return problems


def download_notice(config: HuggingFaceConfig) -> str | None:
    """What will be downloaded for a text encoder before it can read texts; None when everything is here, or when
    downloads are forbidden."""
    try:
        hub_name = installed_folder(config.name) is None
    except GslError:
        return None
    if not hub_name or hub_is_offline() or hub_cache_folder(config.name) is not None:
        return None
    return f"the model '{config.name}' is not in the Hugging Face cache: it will be downloaded"


def _not_in_the_cache(name: str) -> str:
    return (
        f"the model '{name}' must be in the Hugging Face cache while downloads are forbidden (HF_HUB_OFFLINE or "
        "TRANSFORMERS_OFFLINE is set). Allow them, in which case it is downloaded, or give a local folder"
    )


def _problems_of_folder(folder: Path, config: HuggingFaceConfig, where: str) -> list[Problem]:
    try:
        transformer = detect_pooling(folder, config.pooling).transformer_folder
        facts = _read_config(transformer)
    except ConfigError as problem:
        key = "pooling" if "text_encoder.pooling" in str(problem) else "name"
        return [(f"{where}.{key}", str(problem))]
    problems: list[Problem] = []
    if not any(transformer.glob("*.safetensors")):
        message = (
            f"the folder '{transformer}' must hold weights as safetensors, and holds none. Convert or download them"
        )
        problems.append((f"{where}.name", message))
    limit = position_limit_of(facts)
    if limit is not None and not _LEAST_TOKENS <= config.max_tokens <= limit:
        rule = f"must be from {_LEAST_TOKENS} to {limit}, the model's positions (got {config.max_tokens})"
        problems.append((f"{where}.max_tokens", rule))
    return problems


def _read_config(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise ConfigError(f"{path}: must be a readable JSON file (got: {problem}). Is this a model folder?") from None
    if not isinstance(facts, dict):
        raise ConfigError(f"{path}: must be a JSON object (got {type(facts).__name__}). Is this a model folder?")
    return facts


def position_limit_of(facts: dict[str, Any]) -> int | None:
    """The most tokens a model reads, special tokens included, by its config.json; None: it does not say."""
    rows = facts.get("max_position_embeddings")
    if not isinstance(rows, int):
        return None
    kind = facts.get("model_type")
    if kind not in _OFFSET_POSITIONS:
        return rows
    padding = _MPNET_PADDING if kind == "mpnet" else facts.get("pad_token_id")
    return rows - padding - 1 if isinstance(padding, int) else rows
