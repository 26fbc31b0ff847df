"""GraphConfig -> graph folder behind a URL, by an engine whose processes write there: s3://bucket/graph, for example.

Stores cannot rename a folder: graph.json comes last, and the old one goes first, so that a half-written graph is none.
A pipeline with this graph.path trains on a copy.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from pydantic import ValidationError

from gconstruct.engines import Engine
from gconstruct.manifest import manifest_of
from gconstruct.problems import counted
from gconstruct.report.trace import Trace
from graphstorm_like.config.graph import GraphConfig
from graphstorm_like.errors import DataError
from graphstorm_like.graph.schema import MANIFEST, GraphManifest
from graphstorm_like.mirror.manifest import PUBLISHED
from graphstorm_like.mirror.stores import store_errors, store_of


def build_in_store(
    config: GraphConfig, engine: Engine, mark: str, trace: Trace, say: Callable[[str], None], force: bool
) -> GraphManifest:
    """Make the graph at `config.path`, unless it is up to date, and return its manifest. mark: its fingerprint."""
    assert config.path is not None
    started, url = time.perf_counter(), f"{config.path.rstrip('/')}/{MANIFEST}"
    try:
        with store_errors():
            fs, path = store_of(url)
            current = None if force or not fs.exists(path) else _manifest(fs.cat_file(path))
            if current is not None and current.fingerprint == mark:
                say(f"{config.path} is up to date")
                return current
            with trace.step("read headers"):
                engine.check()
            for manifest_file in (path, f"{path.removesuffix(MANIFEST)}{PUBLISHED}"):
                if fs.exists(manifest_file):
                    fs.rm_file(manifest_file)
            manifest = manifest_of(mark, engine.run(Path(), trace))
            fs.pipe_file(path, (manifest.model_dump_json(indent=2) + "\n").encode())
    except (OSError, ImportError) as err:
        raise DataError(
            f"{config.path}: graph.path must be a URL that can be written to (got {type(err).__name__}: {err}). Check "
            "the URL, its permissions, and that the package of its store is installed (s3fs for s3://)"
        ) from err
    say(
        f"{config.path}: {counted(manifest.num_nodes, 'node')}, {counted(manifest.num_edges, 'edge')} with reverses "
        f"({time.perf_counter() - started:.1f} s). Leaks are not looked for, and there is no report: "
        "gsl show graph --report makes it of a copy"
    )
    return manifest


def _manifest(content: bytes) -> GraphManifest | None:
    try:
        return GraphManifest.model_validate_json(content)
    except ValidationError:
        return None
