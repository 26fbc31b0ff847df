"""GraphConfig -> graph folder, when the one that is there is not up to date."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gconstruct.folder import check_target, new_folder, recover
from gconstruct.input_record import InputRecord
from gconstruct.inputs import InputFile, resolve
from gconstruct.problems import Problems, counted
from graphstorm_like.config.graph import GraphConfig
from graphstorm_like.errors import DataError
from graphstorm_like.graph.schema import MANIFEST, SCHEMA_VERSION, GraphManifest, file_hash, read_manifest
from graphstorm_like.hashing import hash_facts

if TYPE_CHECKING:
    from gconstruct.engines.arrow.engine import Construction

ENGINE_VERSION = 1
"""Raise it when the same tables give another graph."""
_WHOLE = "whole"
"""Folder within the new one where a graph lies until it is partitioned: a kill leaves one thing to tidy up."""


def build_graph(
    config: GraphConfig, *, progress: Callable[[str], None] | None = None, force: bool = False
) -> GraphManifest:
    """Make the graph folder `config.path` and return its manifest; at once when the folder is up to date.

    `config.path` and `config.base` must be absolute (Pipeline.with_absolute_paths). A configuration without tables is
    of a folder that is there already: it is never built. Raises DataError that names file,
    column and row; then the folder is as it was before. `progress` gets plain lines. `force` builds in any case.
    """
    from gconstruct.assign import check_method
    from gconstruct.engines.arrow.engine import Engine
    from gconstruct.opened import GraphFiles
    from gconstruct.partition import write_partitions

    say = progress or (lambda _: None)
    started = time.perf_counter()
    path = _target(config)
    if config.is_built:
        taken = _whole(path)
        say(f"{path} is taken as it is")
        return taken
    files = _input_files(config)
    try:
        recover(path)
        if not force:
            record = InputRecord.read(path)
            current = current_manifest(path, _mark(config, record.settle(files)))
            if current is not None:
                record.update(path)
                say(f"{path} is up to date")
                return current
        check_target(path)
        if config.partitions.count > 1:
            check_method(config.partitions)
        engine = Engine(config, say)
        engine.check()
        record, mark = InputRecord.of(files), _mark(config, files)
        with new_folder(path) as folder:
            whole = folder if config.partitions.count == 1 else folder / _WHOLE
            made = engine.run(whole)
            del engine  # it holds all ids
            if whole != folder:
                made = write_partitions(GraphFiles(whole, made.partitions), made, config.partitions, folder, say)
                shutil.rmtree(whole)
            record.write(folder)
            manifest = write_manifest(folder, mark, made)
    except OSError as err:
        raise DataError(
            f"{path}: the graph folder must be writable (got {err.strerror or err}: {err.filename or path}). "
            "Check the disk and its permissions, or set graph.path to another folder"
        ) from err
    size = sum(p.bytes for p in manifest.partitions) / 1e6
    say(
        f"{path}: {counted(manifest.num_nodes, 'node')}, {counted(manifest.num_edges, 'edge')} with reverses, "
        f"{size:,.1f} MB ({time.perf_counter() - started:.1f} s)"
    )
    return manifest


def is_current(config: GraphConfig) -> bool:
    """Is the graph folder whole, and of this configuration and these input files? Missing inputs: no."""
    try:
        return current_manifest(_target(config), fingerprint(config)) is not None
    except DataError:
        return False


def fingerprint(config: GraphConfig) -> str:
    """32 hex digits of the configuration (without `path`), each input file's path, size and mtime (or the store's
    etag), and the versions of schema and engine; without tables that of the folder itself. Raises DataError when
    files are missing.

    A file that has other times than when the graph folder was built, but the same contents, counts with its old times.
    """
    if config.is_built:
        return _whole(_target(config)).fingerprint
    files = _input_files(config)
    if config.path is not None and "://" not in config.path:
        files = InputRecord.read(_target(config)).settle(files)
    return _mark(config, files)


def _mark(config: GraphConfig, files: list[InputFile]) -> str:
    # One partition is one, whatever the method; and its folders are older than `partitions`.
    neutral = {"path"} if config.partitions.count > 1 else {"path", "partitions"}
    content: dict[str, Any] = {
        "config": config.model_dump(mode="json", exclude=neutral),
        "schema": SCHEMA_VERSION,
        "engine": ENGINE_VERSION,
        "files": [[f.path, f.size, f.stamp] for f in files],
    }
    return hash_facts(content)


def _input_files(config: GraphConfig) -> list[InputFile]:
    """Sorted by node type: the order in which a YAML names its types, or JSON keeps them, changes no graph. Raises
    DataError that names all that is missing."""
    problems = Problems()
    files: list[InputFile] = []
    for name, node in sorted(config.nodes.items()):
        files += resolve(f"graph.nodes.{name}", node.files, config.base, node.format, problems)
    for i, edge in enumerate(config.edges):
        files += resolve(f"graph.edges[{i}]", edge.files, config.base, edge.format, problems)
    problems.raise_if_any()
    return files


def _target(config: GraphConfig) -> Path:
    if config.path is None or "://" in config.path:
        raise DataError(
            f"graph.path: must be a local folder (got {config.path!r}). "
            "Construct the graph on a local disk, then copy the folder"
        )
    path = Path(config.path).absolute()
    return path.resolve() if path.is_symlink() else path  # replace what a link points to, not the link


def _whole(path: Path) -> GraphManifest:
    """The manifest of a folder that must be there already."""
    if not (path / MANIFEST).is_file():
        raise DataError(
            f"{path}: must be a graph folder that is there already, for graph.nodes names no tables (got no "
            f"{MANIFEST} there). Make it, e.g. with gsl stitch, or name its tables in graph.nodes"
        )
    manifest = read_manifest(path)
    missing = [name for name in manifest.hashes if not (path / name).is_file()]
    if missing:
        raise DataError(
            f"{path}: must hold all files of its {MANIFEST} (got {counted(len(missing), 'missing file')}, e.g. "
            f"{missing[0]}). Make or copy the folder again"
        )
    return manifest


def current_manifest(path: Path, mark: str) -> GraphManifest | None:
    """The manifest, when it has this fingerprint and its files are there."""
    if not (path / MANIFEST).is_file():
        return None
    try:
        manifest = read_manifest(path)
    except DataError:
        return None
    whole = manifest.fingerprint == mark and all((path / name).is_file() for name in manifest.hashes)
    return manifest if whole else None


def write_manifest(folder: Path, mark: str, made: Construction) -> GraphManifest:
    """Write graph.json over the files of a new graph folder, which get hashed."""
    files = sorted(p for p in folder.rglob("*.arrow"))
    manifest = GraphManifest(
        fingerprint=mark,
        nodes=made.nodes,
        edges=made.edges,
        partitions=made.partitions,
        hashes={p.relative_to(folder).as_posix(): file_hash(p) for p in files},
        dropped=made.dropped,
    )
    with (folder / MANIFEST).open("w", encoding="utf-8") as file:
        file.write(manifest.model_dump_json(indent=2) + "\n")
        file.flush()
        os.fsync(file.fileno())
    return manifest
