"""Which tables and folders of this machine a job needs, and where they are copied. Everything else is in S3 already."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from graphstorm_like.config.graph import GraphConfig
from graphstorm_like.errors import LaunchError
from graphstorm_like.files import files_below

FILES_OF_DATABASES = ("sqlite", "duckdb")
"""Kinds of databases that lie in a file."""


@dataclass(frozen=True)
class Upload:
    """A file to copy, or contents to write. secret: never shown."""

    url: str
    source: Path | bytes
    secret: bool = False

    def shown(self) -> str:
        """For people."""
        if isinstance(self.source, Path):
            return f"{self.source} -> {self.url}"
        return f"{'a new secret' if self.secret else f'{len(self.source)} bytes'} -> {self.url}"


def is_url(path: str) -> bool:
    """Whether a path is in S3 or another store."""
    return "://" in path and not path.startswith("file://")


def local_tables(graph: GraphConfig) -> dict[str, str]:
    """The paths of tables, and of databases in files, that lie on this machine, as the YAML has them, by their keys."""
    from gconstruct import input_paths

    base_is_url = graph.base is not None and is_url(graph.base)
    found: dict[str, str] = {}
    for key, path in input_paths(graph):
        if key.endswith(".sql.url"):
            is_local = path.partition(":")[0].split("+")[0] in FILES_OF_DATABASES
        else:
            is_local = not is_url(path) and (os.path.isabs(path) or not base_is_url)
        if is_local:
            found[key] = path
    return found


def table_uploads(graph: GraphConfig, upload: bool, target: str) -> list[Upload]:
    """The files of tables to copy below `target`, where they have the paths that they have below graph.base. Raises
    LaunchError when there are some and they may not, or cannot, be copied."""
    local = local_tables(graph)
    if not local:
        return []
    key, path = next(iter(local.items()))
    if not upload:
        raise LaunchError(
            f"{key}: must be in S3 for launch.on: sagemaker (got {path!r} below {graph.base}). Copy the tables with "
            "--upload, or set graph.base to an s3:// URL"
        )
    for key, path in local.items():
        if os.path.isabs(path) or path.startswith(("~", "..", "file:")) or key.endswith(".url"):
            raise LaunchError(f"{key}: must be a path below graph.base to be copied (got {path!r}). Put the file there")
    from gconstruct import input_files

    base = Path(graph.base or ".").absolute()
    found = [Path(file.path) for file in input_files(graph) if file.is_local]
    return [Upload(f"{target}/{path.relative_to(base).as_posix()}", path) for path in dict.fromkeys(found)]


def graph_uploads(folder: str, upload: bool, target: str) -> list[Upload]:
    """The files of a graph folder of this machine, to copy below `target`. Raises LaunchError."""
    if not upload:
        raise LaunchError(
            f"graph.path: must be in S3 for launch.on: sagemaker (got '{folder}'). Copy the folder with --upload, or "
            "set graph.path to an s3:// URL"
        )
    path = Path(folder)
    if not (path / "graph.json").is_file():
        raise LaunchError(f"graph.path: must be a graph folder, with graph.json, to be copied (got '{folder}')")
    return [Upload(f"{target}/{name}", path / name) for name in files_below(path)]
