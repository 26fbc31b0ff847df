"""Our packages and plug-ins as zip files, which Spark gives to its executors.

Executors need Python >= 3.11 with the packages that tables are read with (pyarrow, numpy, pydantic ...), but not this
distribution: what they run is what the driver runs. Nothing that is shipped imports torch.
"""

from __future__ import annotations

import importlib
import zipfile
from collections.abc import Iterator
from pathlib import Path

PACKAGES = ("gconstruct", "graphstorm_like")
_STAMP = (1980, 1, 1, 0, 0, 0)  # the same zip from the same files: Spark compares it with the one it has


def zip_packages(folder: Path, plugins: tuple[str, ...] = ()) -> list[Path]:
    """Zip files in `folder` with our packages, and with those plug-ins, by the names of their modules.

    What is in a zip file already came with spark-submit --py-files, and executors have it.
    """
    wanted = {"graphstorm_like_packages": [_origin(name) for name in PACKAGES]}
    for name in plugins:
        wanted[f"plugin_{name.replace('.', '_')}"] = [_origin(name.partition(".")[0])]
    files = []
    for name, origins in wanted.items():
        if all(origin.exists() for origin in origins):
            files.append(folder / f"{name}.zip")
            _write(files[-1], origins)
    return files


def _origin(name: str) -> Path:
    """The folder of a package, or the file of a module."""
    file = Path(str(importlib.import_module(name).__file__))
    return file.parent if file.name == "__init__.py" else file


def _write(target: Path, origins: list[Path]) -> None:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for origin in origins:
            for path in _sources(origin):
                info = zipfile.ZipInfo(path.relative_to(origin.parent).as_posix(), _STAMP)
                info.compress_type = zipfile.ZIP_DEFLATED
                info.external_attr = 0o644 << 16
                archive.writestr(info, path.read_bytes())


def _sources(origin: Path) -> Iterator[Path]:
    if origin.is_file():
        yield origin
        return
    yield from sorted(path for path in origin.rglob("*.py") if "__pycache__" not in path.parts)
