"""Which vectors in the cache answer a question, told without the language model: loading one takes seconds of a core.

The caches are named by weights and tokens, so that to ask them takes the model and its tokenizer. A note beside them
names the folders by what both follow from: the graph's files, the model's files and settings, the versions.
"""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from graphstorm_like import __version__
from graphstorm_like.config.text_encoder import TextEncoderConfig
from graphstorm_like.errors import DataError
from graphstorm_like.files import write_json
from graphstorm_like.graph.schema import GraphManifest
from graphstorm_like.graph.store import RowType, type_name
from graphstorm_like.hashing import hash_facts

if TYPE_CHECKING:
    from graphstorm_like.text.cache import EmbeddingCache

_NEUTRAL = {"batch_tokens", "workers"}


def note_file(
    folder: Path,
    manifest: GraphManifest,
    row_type: RowType,
    name: str,
    part: int | None,
    config: TextEncoderConfig,
    device: torch.device,
) -> Path:
    """Where the note about the vectors of a text is, in the cache's folder. part: of its rows; None: of all."""
    from graphstorm_like.text.folders import model_files, resolve_model_folder
    from graphstorm_like.text.loading import as_dtype

    model = str(resolve_model_folder(config.name))
    facts = {
        "versions": [__version__, _version("transformers"), _version("tokenizers")],
        "graph": sorted(manifest.hashes.items()),
        "texts": [type_name(row_type), name, part],
        "encoder": config.model_dump(mode="json", exclude=_NEUTRAL),
        "model": [model, model_files(model)],
        "dtype": str(as_dtype(config.dtype, device)),
    }
    return folder / f"known-{hash_facts(facts)}.json"


def recall(note: Path) -> EmbeddingCache | None:
    """The cache that a note names, when it is there and whole."""
    from graphstorm_like.text.cache import EmbeddingCache
    from graphstorm_like.text.tokens import TokenStore

    try:
        named = json.loads(note.read_text(encoding="utf-8"))
        return EmbeddingCache.open(note.parent / named["vectors"], TokenStore.open(note.parent / named["tokens"]))
    except (OSError, ValueError, KeyError, TypeError, DataError):
        return None


def remember(note: Path, cache: EmbeddingCache) -> None:
    """Write the note."""
    write_json(note, {"tokens": cache.store.folder.name, "vectors": cache.folder.name})


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
