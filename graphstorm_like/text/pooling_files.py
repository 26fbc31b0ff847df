"""How a model folder says which pooling turns token vectors into a text vector.

Encoders trained for sentences say it in the files of sentence-transformers; another pooling than the trained one costs
accuracy, and the `pooler` of many checkpoints was never trained at all. Imports no torch, so that a
folder can be checked before a run.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graphstorm_like.errors import ConfigError, unknown

POOLER = "pooler"
"""The checkpoint's own pooler output: computed by the model, not from token vectors."""
POOLING_NAMES = ("mean", "cls", "last_token", "max", "weighted_mean", "mean_sqrt_length", POOLER)


@dataclass(frozen=True, slots=True)
class PoolingChoice:
    """How a model's token vectors become a text vector. `source` says where that was read."""

    name: str
    normalize: bool
    source: str
    transformer_folder: Path
    default_max_tokens: int | None = None


_SENTENCE_TRANSFORMERS_NAMES = {
    "cls": "cls",
    "max": "max",
    "mean": "mean",
    "mean_sqrt_len_tokens": "mean_sqrt_length",
    "weightedmean": "weighted_mean",
    "lasttoken": "last_token",
    POOLER: POOLER,  # not known to sentence-transformers; `write_pooling` writes it all the same
}
_OLD_KEYS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}


def detect_pooling(folder: Path, requested: str = "auto") -> PoolingChoice:
    """Pooling of a local model folder: `requested`, or what the folder's files say when that is 'auto'.

    Raises ConfigError for an unknown name, and when nothing was requested and the folder asks for something that is not
    supported.
    """
    if requested != "auto" and requested not in POOLING_NAMES:
        raise ConfigError(unknown("text_encoder.pooling", "pooling", requested, ("auto", *POOLING_NAMES)))
    if (folder / "modules.json").is_file():
        return _from_sentence_transformers(folder, requested)
    if requested != "auto":
        return PoolingChoice(requested, False, "chosen", folder)
    config = _read(folder / "config.json")
    if _is_decoder(config):
        return PoolingChoice("last_token", False, "default of decoders", folder)
    return PoolingChoice("mean", False, "default of encoders", folder)


def write_pooling(folder: Path, name: str, normalize: bool, dim: int, max_tokens: int) -> None:
    """Write into a model folder the files from which `detect_pooling` and sentence-transformers read all this back."""
    theirs = next(key for key, ours in _SENTENCE_TRANSFORMERS_NAMES.items() if ours == name)
    # The old keys are read by every version of sentence-transformers.
    pooling: dict[str, Any] = {
        "word_embedding_dimension": dim,
        **{key: mode == theirs for key, mode in _OLD_KEYS.items()},
    }
    if name == POOLER:
        pooling = {"embedding_dimension": dim, "pooling_mode": POOLER}
    parts = [("Transformer", ""), ("Pooling", "1_Pooling")] + ([("Normalize", "2_Normalize")] if normalize else [])
    modules = [
        {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for i, (kind, path) in enumerate(parts)
    ]
    (folder / "1_Pooling").mkdir(parents=True, exist_ok=True)
    for path, content in (
        ("modules.json", modules),
        ("1_Pooling/config.json", pooling),
        ("sentence_bert_config.json", {"max_seq_length": max_tokens, "do_lower_case": False}),
    ):
        (folder / path).write_text(json.dumps(content, indent=2), encoding="utf-8")


def _is_decoder(config: dict[str, Any]) -> bool:
    causal = any(str(name).endswith(("CausalLM", "LMHeadModel")) for name in config.get("architectures") or ())
    return bool(config.get("is_decoder")) or causal


def _from_sentence_transformers(folder: Path, requested: str) -> PoolingChoice:
    modules = _read(folder / "modules.json")
    kinds = [(str(m.get("type", "")).rsplit(".", 1)[-1], folder / str(m.get("path", ""))) for m in modules]
    transformer = next((path for kind, path in kinds if kind == "Transformer"), folder)
    limit = _read(transformer / "sentence_bert_config.json", optional=True).get("max_seq_length")
    normalize = any(kind == "Normalize" for kind, _ in kinds)
    if requested != "auto":
        return PoolingChoice(requested, normalize, "chosen", transformer, limit)
    unsupported = [kind for kind, _ in kinds if kind not in ("Transformer", "Pooling", "Normalize", "Dropout")]
    if unsupported:
        raise ConfigError(
            f"{folder / 'modules.json'}: the module {unsupported[0]} is not supported, so vectors would differ from "
            f"those of the model's authors. Set text_encoder.pooling to one of {', '.join(POOLING_NAMES)} to go "
            f"without it"
        )
    pooling_folder = next((path for kind, path in kinds if kind == "Pooling"), None)
    if pooling_folder is None:
        return PoolingChoice("mean", normalize, "default of encoders", transformer, limit)
    pooling_file = pooling_folder / "config.json"
    return PoolingChoice(_pooling_mode(pooling_file), normalize, str(pooling_file), transformer, limit)


def _pooling_mode(path: Path) -> str:
    config = _read(path)
    setting = config.get("pooling_mode")
    if setting is None:
        setting = [name for key, name in _OLD_KEYS.items() if config.get(key)] or ["mean"]
    modes = [setting] if isinstance(setting, str) else [str(mode) for mode in setting]
    if len(modes) != 1 or modes[0] not in _SENTENCE_TRANSFORMERS_NAMES:
        raise ConfigError(
            f"{path}: pooling must be one of {', '.join(_SENTENCE_TRANSFORMERS_NAMES)} (got {', '.join(modes)}). "
            f"Set text_encoder.pooling to one of {', '.join(POOLING_NAMES)}"
        )
    return _SENTENCE_TRANSFORMERS_NAMES[modes[0]]


def _read(path: Path, optional: bool = False) -> Any:
    if optional and not path.is_file():
        return {}
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise ConfigError(
            f"{path}: must be a readable JSON file (got: {problem}). Is this a model folder?"
        ) from problem
