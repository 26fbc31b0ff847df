"""Finds cached text vectors without loading the language model, which takes seconds of CPU time.

Cache folders are named after hashes of weights and tokens, so that looking one up takes the model and its tokenizer. A
note next to them names the folders for what both depend on: the graph's files, the model's files and settings, and the
version of this package.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphstorm_like import __version__
from graphstorm_like.cache_use import mark_used
from graphstorm_like.errors import DataError
from graphstorm_like.files import write_json
from graphstorm_like.graph.schema import GraphManifest
from graphstorm_like.graph.store import RowType, type_name
from graphstorm_like.hashing import hash_facts

if TYPE_CHECKING:
    from graphstorm_like.text.cache import EmbeddingCache


def note_file(
    folder: Path,
    manifest: GraphManifest,
    row_type: RowType,
    name: str,
    part: int | None,
    encoder: Mapping[str, Any],
) -> Path:
    """Path of the note about the vectors of a text, in the cache's folder. part: the partition whose rows were
    embedded; None: all rows. encoder: the facts that the vectors depend on."""
    facts = {
        "version": __version__,
        "graph": sorted(manifest.hashes.items()),
        "texts": [type_name(row_type), name, part],
        "encoder": dict(encoder),
    }
    return folder / f"known-{hash_facts(facts)}.json"


def recall(note: Path) -> EmbeddingCache | None:
    """The cache that a note names; None when it is missing or damaged."""
    from graphstorm_like.text.cache import EmbeddingCache
    from graphstorm_like.text.tokens import TokenStore

    try:
        folders = json.loads(note.read_text(encoding="utf-8"))
        vectors, tokens = note.parent / folders["vectors"], note.parent / folders["tokens"]
        known = EmbeddingCache.open(vectors, TokenStore.open(tokens))
    except (OSError, ValueError, KeyError, TypeError, DataError):
        return None
    for used in (note, vectors, tokens):
        mark_used(used)
    return known


def remember(note: Path, cache: EmbeddingCache) -> None:
    """Write the note."""
    write_json(note, {"tokens": cache.store.folder.name, "vectors": cache.folder.name})
    mark_used(note)
