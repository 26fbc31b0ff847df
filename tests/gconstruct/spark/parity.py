"""The same tables through both engines, and the two graph folders side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from gconstruct import build_graph
from graphstorm_like.config.graph import GraphConfig
from graphstorm_like.errors import GslError
from graphstorm_like.graph.schema import GraphManifest


def config_of(folder: Path, engine: str, graph: dict[str, Any]) -> GraphConfig:
    """A configuration of the tables in `folder`; the graph goes to folder/out/<engine>."""
    own = {"path": str(folder / "out" / engine), "base": str(folder), "engine": engine}
    return GraphConfig.model_validate({**graph, **own})


def build_both(folder: Path, graph: dict[str, Any]) -> GraphManifest:
    """Build with arrow and Spark, and compare the folders; returns the manifest."""
    manifests = {e: build_graph(config_of(folder, e, graph), force=True) for e in ("arrow", "spark")}
    assert_same(folder / "out" / "arrow", folder / "out" / "spark", *manifests.values())
    return manifests["spark"]


def assert_same(first: Path, second: Path, manifest: GraphManifest, other: GraphManifest) -> None:
    """All files have the same bytes, and the manifests say the same."""
    files = sorted(path.relative_to(first).as_posix() for path in first.rglob("*.arrow"))
    assert files == sorted(path.relative_to(second).as_posix() for path in second.rglob("*.arrow"))
    for file in files:
        if (first / file).read_bytes() != (second / file).read_bytes():
            one, two = (pa.ipc.open_file(str(folder / file)).read_all() for folder in (first, second))
            assert one.schema == two.schema, file
            for name in one.schema.names:
                assert one.column(name).equals(two.column(name)), (file, name)
            raise AssertionError(f"{file} has the same rows in other bytes")
    expected, found = (m.model_dump(mode="json", exclude={"fingerprint"}) for m in (manifest, other))
    for key, value in expected.items():
        assert found[key] == value, key


def errors_of_both(folder: Path, graph: dict[str, Any]) -> tuple[str, str]:
    """The errors of arrow and Spark."""
    texts = []
    for engine in ("arrow", "spark"):
        try:
            build_graph(config_of(folder, engine, graph), force=True)
            texts.append("")
        except GslError as err:
            texts.append(f"{type(err).__name__}: {err}")
        assert not (folder / "out" / engine).exists() or not texts[-1], "nothing is left after an error"
    return texts[0], texts[1]
