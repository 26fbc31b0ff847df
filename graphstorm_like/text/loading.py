"""Model folder -> Hugging Face module and tokenizer, and facts about them.

The one place that knows the differences between versions of transformers (4.44 and later). Weights come from
safetensors only, code in the folder is never run, and a folder whose weights do not fit its config is
refused.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from graphstorm_like.device import bf16_in_hardware
from graphstorm_like.errors import ConfigError, MissingExtraError, must_be
from graphstorm_like.text.pooling_files import POOLER, PoolingChoice

DtypeName = Literal["auto", "float32", "bfloat16", "float16"]
# Models without numbered positions (T5, for one) read any length.
_NO_LIMIT = 1_000_000
_ONE_THREAD = threading.RLock()


def load_tokenizer(folder: Path, parent: Path) -> Any:
    """The tokenizer in `folder`, or in `parent` when the transformer is in a sub-folder without one."""
    has_own = any((folder / name).is_file() for name in ("tokenizer.json", "tokenizer_config.json", "vocab.txt"))
    tokenizer_folder = folder if has_own else parent
    with quiet_transformers() as transformers:
        try:
            return transformers.AutoTokenizer.from_pretrained(
                tokenizer_folder, trust_remote_code=False, local_files_only=True
            )
        except (OSError, ValueError, ImportError, KeyError) as problem:
            raise ConfigError(
                f"{tokenizer_folder}: the tokenizer could not be loaded ({first_line(problem)})"
            ) from problem


def load_backbone(choice: PoolingChoice, dtype: torch.dtype, attention: str) -> nn.Module:
    """The model in `choice.transformer_folder`, weights in `dtype`, in eval mode, without a pooler that is not used."""
    folder = choice.transformer_folder
    with quiet_transformers() as transformers:
        model, info = _from_pretrained(transformers, folder, dtype, attention)
    wants_pooler = choice.name == POOLER
    missing = [key for key in info["missing_keys"] if wants_pooler or not key.startswith("pooler.")]
    if wants_pooler and getattr(model, "pooler", None) is None:
        missing.append("pooler")
    if missing:
        fix = "Choose another text_encoder.pooling" if missing[0].startswith("pooler") else "Check that the files fit"
        raise ConfigError(
            f"{folder}: {len(missing)} weights of {type(model).__name__} are missing, first '{missing[0]}'. {fix}"
        )
    if not wants_pooler and getattr(model, "pooler", None) is not None:
        # An untrained pooler is drawn at random at every load: it would change the weights' fingerprint each time, and
        # in training it would be a parameter without a gradient.
        model.pooler = None
    loaded: nn.Module = model.eval()
    return loaded


def _from_pretrained(transformers: Any, folder: Path, dtype: torch.dtype, attention: str) -> tuple[Any, dict[str, Any]]:
    options: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    try:
        config = transformers.AutoConfig.from_pretrained(folder, **options)
        factory = transformers.AutoModelForTextEncoding if _encoder_alone(config) else transformers.AutoModel
        version = tuple(int(part) for part in transformers.__version__.split(".")[:2])
        options["dtype" if version >= (4, 56) else "torch_dtype"] = dtype
        options |= {"config": config, "use_safetensors": True, "output_loading_info": True}
        try:
            loaded = factory.from_pretrained(folder, attn_implementation=attention, **options)
        except (ValueError, ImportError) as problem:
            if attention != "sdpa" or "attention" not in str(problem):
                raise
            loaded = factory.from_pretrained(folder, attn_implementation="eager", **options)
    except (OSError, ValueError, ImportError, KeyError, RuntimeError) as problem:
        raise ConfigError(
            f"{folder}: the model could not be loaded ({first_line(problem)}). A folder with config.json and "
            "model.safetensors of a Hugging Face text model is needed"
        ) from problem
    model, info = loaded
    return model, info


def _encoder_alone(config: Any) -> bool:
    """Whether to load the encoder of an encoder-decoder (T5), which reads texts. The config of an encoder that was
    saved alone no longer says that it was part of one."""
    names = getattr(config, "architectures", None) or ()
    return bool(config.is_encoder_decoder) or any(str(name).endswith("EncoderModel") for name in names)


def as_dtype(name: DtypeName, device: torch.device) -> torch.dtype:
    """torch dtype of a name; 'auto' is bfloat16 where the device computes it in hardware, else float32."""
    if name == "auto":
        return torch.bfloat16 if bf16_in_hardware(device) else torch.float32
    if name not in ("float32", "bfloat16", "float16"):
        raise ConfigError(must_be("text_encoder.dtype", "dtype", "auto, float32, bfloat16 or float16", name))
    dtype: torch.dtype = getattr(torch, name)
    return dtype


def position_limit(backbone: Any) -> int:
    """The most tokens a model can read, special tokens included (10^6 when it has no limit).

    RoBERTa, MPNet and their kin number positions from padding_idx + 1, so 514 rows hold 512 tokens.
    """
    for name, module in backbone.named_modules():
        if name.endswith("position_embeddings") and isinstance(module, nn.Embedding) and module.padding_idx is not None:
            return module.num_embeddings - module.padding_idx - 1
    return int(getattr(backbone.config, "max_position_embeddings", None) or _NO_LIMIT)


@torch.no_grad()
def looks_only_left(backbone: Any) -> bool:
    """Whether no token's vector depends on later tokens: then padding on the right needs no mask.

    The modules' flags name the candidates; since a config can turn a decoder into a two-way encoder, a candidate is
    also tried out: another last token must leave the vectors before it as they are.
    """
    flags = [getattr(module, "is_causal", None) for module in backbone.modules()]
    flags = [flag for flag in flags if flag is not None]
    if not getattr(backbone.config, "is_decoder", False) and not (flags and all(flags)):
        return False
    ids = torch.tensor([[0, 1, 2, 3], [0, 1, 2, 4]], device=next(backbone.parameters()).device)
    hidden = backbone(input_ids=ids, use_cache=False).last_hidden_state[:, :-1]
    return bool(torch.allclose(hidden[0], hidden[1]))


def first_line(problem: BaseException) -> str:
    """First line of an exception's message, or its class name."""
    text = str(problem).strip()
    return text.splitlines()[0] if text else type(problem).__name__


def _transformers() -> Any:
    try:
        import transformers
    except ImportError:
        raise MissingExtraError("text_encoder: a language model", "transformers", "text") from None
    return transformers


@contextlib.contextmanager
def quiet_transformers() -> Iterator[Any]:
    """The transformers package, without load reports and progress bars: what matters in them is checked and raised.

    One thread at a time: while it loads a model, transformers replaces functions of its own classes for the whole
    process, and two threads that load at once leave them replaced (models then lose their tied weights).
    """
    transformers = _transformers()
    logging = transformers.utils.logging
    with _ONE_THREAD:
        level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
        logging.set_verbosity_error()
        logging.disable_progress_bar()
        try:
            yield transformers
        finally:
            logging.set_verbosity(level)
            if bars:
                logging.enable_progress_bar()
