"""`plugins:` modules of the user's own that register operators when they are imported.

A plug-in is named like a module (`my_package.hgt`) or by its file (`./my_operators.py`). The folder of a file is
appended to Python's search path, so that other processes of the run find the module too.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from types import ModuleType

from graphstorm_like.errors import ConfigError, did_you_mean

_hashes: dict[str, str] = {}


def import_plugins(names: Sequence[str]) -> None:
    """Import plug-ins that are not imported yet. Raises ConfigError for one that cannot be imported."""
    for name in names:
        module = _import(name)
        _hashes[module.__name__] = _content_hash(module)


def check_named_again(names: Sequence[str], where: str, how: str) -> None:
    """Refuse plug-ins that a folder names, unless this process has imported the same ones, from the same files with
    the same content, because its user named them. Imports nothing. where: the folder, and what in it needs them; how:
    how to allow them. Raises ConfigError."""
    foreign = [name for name in names if not _is_imported(name)]
    if foreign:
        raise ConfigError(
            f"{where} needs its plug-ins, whose code would run here ({', '.join(foreign)}). If you trust it, allow "
            f"them: {how}"
        )


def _is_imported(name: str) -> bool:
    module_name = _module_name(name)
    if module_name not in _hashes:
        return False
    module = sys.modules.get(module_name)
    file = getattr(module, "__file__", None)
    if module is None or file is None:
        return False
    is_same_file = not is_file(name) or Path(file).resolve() == Path(name).resolve()
    return is_same_file and Path(file).is_file() and _content_hash(module) == _hashes[module_name]


def plugin_hashes(names: Sequence[str] | None = None) -> Mapping[str, str]:
    """Hash of the content of imported plug-ins by the name of their module. names: as in `plugins:`; None: all."""
    modules = _hashes if names is None else {_module_name(name) for name in names}
    return {module: _hashes[module] for module in sorted(modules) if module in _hashes}


def plugin_of(module: str) -> tuple[str, str] | None:
    """(name, hash) of the imported plug-in that a module is, or lies in; None when it is of none."""
    parts = module.split(".")
    for length in range(len(parts), 0, -1):
        name = ".".join(parts[:length])
        if name in _hashes:
            return name, _hashes[name]
    return None


def is_file(name: str) -> bool:
    """Whether the plug-in is named by its file."""
    return name.endswith(".py")


def _module_name(name: str) -> str:
    return Path(name).stem if is_file(name) else name


def _import(name: str) -> ModuleType:
    if is_file(name):
        _make_importable(Path(name))
    module_name = _module_name(name)
    try:
        return importlib.import_module(module_name)
    except ConfigError:
        raise  # a tag that is taken: the message says it all
    except Exception as error:
        raise ConfigError(
            f"'{name}' must be a module that imports (got {type(error).__name__}: {error}). Try: python -c "
            f"'import {module_name}'" + (f" in {Path(name).parent}" if is_file(name) else "")
        ) from error


def _make_importable(file: Path) -> None:
    """Let the module of a file be found by its name. Raises ConfigError when it does not exist or the name is taken."""
    if not file.is_file():
        neighbours = [path.name for path in file.parent.glob("*.py")]
        raise ConfigError(f"'{file}' must be a file that exists.{did_you_mean(file.name, neighbours)}")
    loaded = sys.modules.get(file.stem)
    origin = getattr(loaded, "__file__", "a module of Python's own") if loaded is not None else _origin(file.stem)
    if origin is not None and Path(origin).resolve() != file.resolve():
        raise ConfigError(f"'{file}' must have a name that no other module has (got {origin}). Rename the file")
    if str(file.parent) not in sys.path:
        sys.path.append(str(file.parent))


def _origin(module_name: str) -> str | None:
    try:
        spec = importlib.util.find_spec(module_name)
    except (ImportError, ValueError) as error:
        raise ConfigError(f"'{module_name}.py' must have the name of a module (got {error}). Rename the file") from None
    return None if spec is None else spec.origin or "a package"


def _content_hash(module: ModuleType) -> str:
    """Of a module's file, or of all Python files of a package."""
    file = Path(str(module.__file__))
    files = sorted(file.parent.rglob("*.py")) if file.name == "__init__.py" else [file]
    digest = blake2b(digest_size=16)
    for path in files:
        digest.update(path.relative_to(file.parent).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()
