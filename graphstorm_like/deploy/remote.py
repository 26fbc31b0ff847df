"""Model folders behind URLs: the files that model.json lists, in a cache on this machine."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from gconstruct.stores import store_errors, store_of
from graphstorm_like.errors import DataError
from graphstorm_like.files import exclusive, path_inside
from graphstorm_like.hashing import hash_facts

MODEL_JSON = "model.json"
WAIT_SECONDS = 600.0


def is_url(path: str | Path) -> bool:
    """Whether it names a store rather than a folder of this machine."""
    return "://" in str(path)


def cache_root() -> Path:
    """Where pulled models are kept: $GSL_MODELS, or a folder of the user's cache."""
    home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(os.environ.get("GSL_MODELS") or f"{home}/graphstorm-like/models").expanduser()


def pull_model(url: str) -> Path:
    """The model of a URL as a local folder; it is copied once for each content of its model.json. Raises DataError when
    it cannot be read."""
    try:
        with store_errors():
            store, root = store_of(url)
            content = store.cat_file(f"{root.rstrip('/')}/{MODEL_JSON}")
            facts: dict[str, Any] = json.loads(content)
            folder = cache_root() / hash_facts(facts)
            if not (folder / MODEL_JSON).is_file():
                with exclusive(folder.with_name(folder.name + ".lock"), "pulling this model", WAIT_SECONDS):
                    _copy(store, root.rstrip("/"), facts, content, folder)
            return folder
    except (OSError, ValueError, ImportError, AttributeError) as err:
        raise DataError(
            f"{url}: must be a model folder that can be read (got {type(err).__name__}: {err}). Check the address, the "
            f"credentials and the package of its store"
        ) from err


def _copy(store: Any, root: str, facts: dict[str, Any], content: bytes, folder: Path) -> None:
    """Copy the listed files, model.json last: a folder without it does not count."""
    if (folder / MODEL_JSON).is_file():
        return  # another process was faster
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in facts.get("files", {}):
        target = path_inside(folder, name)
        target.parent.mkdir(parents=True, exist_ok=True)
        store.get_file(f"{root}/{name}", str(target))
    temporary = folder / f"{MODEL_JSON}.tmp"
    temporary.write_bytes(content)
    temporary.rename(folder / MODEL_JSON)
