"""A graph folder that is not what construction wrote is refused by the file's name; looking twice costs nothing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import graphstorm_like.files as files
from gconstruct.partition import partition_graph
from graphstorm_like.errors import DataError
from graphstorm_like.files import file_hash
from graphstorm_like.graph.local import LocalGraph
from graphstorm_like.graph.remote.credentials import Credentials
from graphstorm_like.graph.remote.server import GraphServer
from graphstorm_like.graph.schema import MANIFEST, indptr_file, read_manifest


@pytest.fixture
def graph(shop: tuple[Path, Path], tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(shop[1], tmp_path / "graph"))


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files whose contents were read to be hashed."""
    read: list[Path] = []

    def counting(path: Path) -> str:
        read.append(path)
        return file_hash(path)

    monkeypatch.setattr(files, "file_hash", counting)
    return read


def edge_file(folder: Path) -> Path:
    part = read_manifest(folder).partitions[0]
    return folder / part.folder / part.edge_files["user:buys:item"]


def rewrite(path: Path, change: Callable[[np.ndarray], None], column: int = 0) -> None:
    """Change a column of an Arrow file, of which everything else stays."""
    batch = pa.ipc.open_file(path.read_bytes()).get_batch(0)
    values = batch.column(column).to_numpy().copy()
    change(values)
    columns = [pa.array(values) if i == column else old for i, old in enumerate(batch.columns)]
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, batch.schema) as writer:
        writer.write_batch(pa.record_batch(columns, schema=batch.schema))


def forge_hashes(folder: Path) -> None:
    """As somebody would write the manifest who makes a wrong graph: the hashes are right."""
    content = json.loads((folder / MANIFEST).read_text())
    content["hashes"] = {name: file_hash(folder / name) for name in content["hashes"]}
    (folder / MANIFEST).write_text(json.dumps(content))


@pytest.mark.parametrize("kind", ["nodes", "edges", "indptr"])
def test_one_flipped_bit_is_refused(graph: Path, kind: str) -> None:
    part = read_manifest(graph).partitions[0]
    edge = part.edge_files["user:buys:item"]
    path = graph / part.folder / {"nodes": part.node_files["item"], "edges": edge, "indptr": indptr_file(edge)}[kind]
    LocalGraph(graph)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"{path.name}: must hold what was written .*gsl construct"):
        LocalGraph(graph)


def test_a_file_that_is_cut_short_or_gone_is_refused(graph: Path) -> None:
    path = edge_file(graph)
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(DataError, match=path.name):
        LocalGraph(graph)
    path.unlink()
    with pytest.raises(DataError, match=rf"{path.name}: the file is missing"):
        LocalGraph(graph)


def change_source(values: np.ndarray) -> None:
    values[0] = -3


def change_pointers(values: np.ndarray) -> None:
    values[1] = 10**9


@pytest.mark.parametrize("hashed", [True, False])
@pytest.mark.parametrize(
    ("change", "pointers", "message"),
    [(change_source, False, "column source must hold nodes 0 to"), (change_pointers, True, "ascending numbers from 0")],
)
def test_edges_that_lead_nowhere_are_refused_though_hashes_fit(
    graph: Path, change: Callable[[np.ndarray], None], pointers: bool, message: str, hashed: bool
) -> None:
    path = edge_file(graph)
    rewrite(path.with_name(indptr_file(path.name)) if pointers else path, change)
    forge_hashes(graph)
    if not hashed:
        content = json.loads((graph / MANIFEST).read_text())
        (graph / MANIFEST).write_text(json.dumps({**content, "hashes": {}}))
    with pytest.raises(DataError, match=message):
        LocalGraph(graph)


def test_contents_are_read_once(graph: Path, reads: list[Path]) -> None:
    LocalGraph(graph)
    assert sorted(reads) == sorted(graph / name for name in read_manifest(graph).hashes)
    reads.clear()
    LocalGraph(graph)
    files._verified.clear()  # as in another process
    LocalGraph(graph)
    assert reads == []
    os.utime(edge_file(graph))
    LocalGraph(graph)
    assert reads == [edge_file(graph)]


def test_a_check_that_was_cut_short_is_made_again(graph: Path, reads: list[Path]) -> None:
    LocalGraph(graph)
    note = graph.parent / f".{graph.name}.checked"
    note.write_text(note.read_text()[:-5])
    files._verified.clear()
    reads.clear()
    LocalGraph(graph)
    assert reads
    assert json.loads(note.read_text())


def test_a_folder_beside_which_nothing_can_be_written(
    graph: Path, reads: list[Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    real = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != graph.parent and real(path, mode))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    before = sorted(p.name for p in tmp_path.iterdir())
    LocalGraph(graph)
    files._verified.clear()
    reads.clear()
    LocalGraph(graph)
    assert reads == []
    assert sorted(p.name for p in tmp_path.iterdir()) == before


OPEN = """
import sys
from pathlib import Path
import graphstorm_like.files as files
real = files.file_hash
def counting(path):
    print(path, flush=True)
    return real(path)
files.file_hash = counting
from graphstorm_like.graph.local import LocalGraph
LocalGraph(sys.argv[1])
"""


def test_of_several_processes_one_reads(graph: Path) -> None:
    jobs = [subprocess.Popen([sys.executable, "-c", OPEN, str(graph)], stdout=subprocess.PIPE) for _ in range(3)]
    outputs = [job.communicate(timeout=120)[0].splitlines() for job in jobs]
    assert all(job.returncode == 0 for job in jobs)
    assert sum(map(len, outputs)) == len(read_manifest(graph).hashes)


def test_a_server_checks_its_partition_and_no_other(graph: Path, tmp_path: Path) -> None:
    folder = tmp_path / "two"
    partition_graph(graph, folder, 2)
    part = read_manifest(folder).partitions[1]
    path = folder / part.folder / part.node_files["item"]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    GraphServer(folder, 0, tmp_path, ("127.0.0.1", 0), Credentials("ab" * 32)).stop()
    with pytest.raises(DataError, match=f"part-1/.*{path.name}: must hold what was written"):
        GraphServer(folder, 1, tmp_path, ("127.0.0.1", 0), Credentials("ab" * 32))


def test_damage_is_not_copied_into_partitions(graph: Path, tmp_path: Path) -> None:
    rewrite(edge_file(graph), change_source)
    with pytest.raises(DataError, match="must hold what was written"):
        partition_graph(graph, tmp_path / "two", 2)
