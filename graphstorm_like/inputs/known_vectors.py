"""Which vectors in the cache answer a question, told without the language model: loading one takes seconds of a core.

The caches are named by weights and tokens, so that to ask them takes the model and its tokenizer. A note beside them
names the folders by what both follow from: the graph's files, the model's files and settings, the versions.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphstorm_like import __version__
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
    """Where the note about the vectors of a text is, in the cache's folder. part: of its rows; None: of all. encoder:
    what its vectors follow from."""
    facts = {
        "version": __version__,
        "graph": sorted(manifest.hashes.items()),
        "texts": [type_name(row_type), name, part],
        "encoder": dict(encoder),
    }
    return folder / f"known-{hash_facts(facts)}.json"


def recall(note: Path) -> EmbeddingCache | None:
    """The cache that a note names, when it is there and whole."""
    from graphstorm_like.text.cache import EmbeddingCache
    from graphstorm_like.text.tokens import TokenStore

    try:
        folders = json.loads(note.read_text(encoding="utf-8"))
        return EmbeddingCache.open(note.parent / folders["vectors"], TokenStore.open(note.parent / folders["tokens"]))
    except (OSError, ValueError, KeyError, TypeError, DataError):
        return None


def remember(note: Path, cache: EmbeddingCache) -> None:
    """Write the note."""
    write_json(note, {"tokens": cache.store.folder.name, "vectors": cache.folder.name})
