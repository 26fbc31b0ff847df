"""Tiny language models with random weights and a real tokenizer, for tests that must load anything in milliseconds.

`tiny_text_model(folder, family)` writes a Hugging Face model folder: 2 layers, hidden size 32, 64 positions, a
WordPiece vocabulary of letters and a few words, so that any lower-case ASCII text has tokens.
"""

from __future__ import annotations

import string
from pathlib import Path
from typing import Any

import torch

from graphstorm_like.errors import unknown
from graphstorm_like.text.loading import quiet_transformers

HIDDEN, POSITIONS = 32, 64
_SIZES = {"hidden_size": HIDDEN, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
_WORDS = ("graph", "node", "edge", "library", "package", "text", "the", "of", "for", "data", "tool", "files")

# family -> (config class, base model class, changes to the sizes). RoBERTa-style models keep two positions for padding.
_FAMILIES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "bert": ("BertConfig", "BertModel", {}),
    "roberta": ("RobertaConfig", "RobertaModel", {"max_position_embeddings": POSITIONS + 2}),
    "distilbert": (
        "DistilBertConfig",
        "DistilBertModel",
        {"dim": HIDDEN, "n_layers": 2, "n_heads": 4, "hidden_dim": 64},
    ),
    "mpnet": ("MPNetConfig", "MPNetModel", {"max_position_embeddings": POSITIONS + 2}),
    "deberta-v2": (
        "DebertaV2Config",
        "DebertaV2Model",
        {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_buckets": 16},
    ),
    "modernbert": (
        "ModernBertConfig",
        "ModernBertModel",
        {"reference_compile": False, "local_attention": 16, "global_attn_every_n_layers": 2},
    ),
    "albert": ("AlbertConfig", "AlbertModel", {"embedding_size": 16}),
    "t5": (
        "T5Config",
        "T5Model",
        {"d_model": HIDDEN, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4, "decoder_start_token_id": 0},
    ),
    "llama": ("LlamaConfig", "LlamaForCausalLM", {"num_key_value_heads": 2}),
}
FAMILIES = tuple(_FAMILIES)


def tiny_text_model(folder: str | Path, family: str = "bert", seed: int = 0) -> Path:
    """Write a tiny model of `family` (one of FAMILIES) and its tokenizer into `folder`; weights follow from `seed`.

    Raises ValueError for an unknown family and AttributeError when the installed transformers has no such model.
    """
    if family not in _FAMILIES:
        raise ValueError(unknown("tiny_text_model", "family", family, FAMILIES))
    config_name, model_name, changes = _FAMILIES[family]
    tokenizer = tiny_tokenizer(family)
    sizes = {"max_position_embeddings": POSITIONS, "vocab_size": len(tokenizer), **_SIZES, **changes}
    if family in ("distilbert", "t5"):  # their own names for the same sizes
        sizes = {key: value for key, value in sizes.items() if key not in _SIZES}
    special = {
        f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in ("pad", "bos", "eos", "cls", "sep")
    }
    with quiet_transformers() as transformers:
        config = getattr(transformers, config_name)(**sizes, **{k: v for k, v in special.items() if v is not None})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = getattr(transformers, model_name)(config)
        with torch.no_grad():  # the usual 0.02 makes all vectors nearly equal: wrong pooling would go unnoticed
            for name, parameter in model.named_parameters():
                if parameter.ndim > 1 and "position" not in name:
                    parameter.normal_(0.0, 0.15)
                    _zero_padding_row(model, name, parameter)
    target = Path(folder)
    with quiet_transformers():
        model.save_pretrained(target)
    tokenizer.save_pretrained(target)
    return target


def tiny_tokenizer(family: str = "bert") -> Any:
    """A fast WordPiece tokenizer with the special tokens of the family; Llama's gives no token for the empty text."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    if family == "llama":
        names = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>"}
    elif family in ("roberta", "mpnet"):
        names = {"cls_token": "<s>", "pad_token": "<pad>", "sep_token": "</s>", "unk_token": "<unk>"}
        names["mask_token"] = "<mask>"
    else:
        names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
        names["mask_token"] = "[MASK]"
    letters = [*string.ascii_lowercase, *string.digits, *string.punctuation]
    pieces = [*names.values(), *letters, *(f"##{letter}" for letter in letters), *_WORDS]
    vocab = {piece: i for i, piece in enumerate(pieces)}
    backend = Tokenizer(models.WordPiece(vocab, unk_token=names["unk_token"]))
    backend.normalizer = normalizers.BertNormalizer(lowercase=True)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    if "cls_token" in names:
        first, last = names["cls_token"], names["sep_token"]
        backend.post_processor = processors.TemplateProcessing(
            single=f"{first} $A {last}", special_tokens=[(first, vocab[first]), (last, vocab[last])]
        )
    with quiet_transformers() as transformers:
        return transformers.PreTrainedTokenizerFast(tokenizer_object=backend, model_max_length=POSITIONS, **names)


def _zero_padding_row(model: Any, name: str, parameter: torch.Tensor) -> None:
    owner = model.get_submodule(name.rpartition(".")[0])
    if isinstance(owner, torch.nn.Embedding) and owner.padding_idx is not None:
        parameter[owner.padding_idx].zero_()
