"""The process that METIS works in, with a stand-in for dgl: arrays go in, an answer or a message comes out."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from graphstorm_like.errors import LaunchError, MissingExtraError
from graphstorm_like.graph.dgl.metis import metis_assignment

DGL = """
import os, sys
import torch
print("dgl says hello")
os.write(1, b"its library too")


def graph(csr, num_nodes):
    form, (indptr, indices, ids) = csr
    assert (form, num_nodes, len(indptr), len(ids)) == ("csr", 4, 5, 0)
    assert all(a.dtype == torch.int64 for a in (indptr, indices, ids))
    assert os.environ["DGLBACKEND"] == "pytorch"
    return indptr, indices


def metis_partition_assignment(graph, k, balance_ntypes):
    print("Metis partitioning")
    return (torch.diff(graph[0]) + balance_ntypes) % k
"""
INDPTR, INDICES, CLASSES = np.array([0, 1, 2, 2, 4]), np.array([3, 3, 0, 1]), np.array([0, 0, 1, 1])


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "dgl.py").write_text(DGL)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path / "dgl.py"


def test_arrays_in_an_array_out(stand_in: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert metis_assignment(INDPTR, INDICES, CLASSES, 3).tolist() == [1, 1, 1, 0]
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("import os, sys\n", "raise ImportError('no libdgl')\n", "with status 1 and said: ImportError: no libdgl"),
        ("import torch\n", "import torch\nos.kill(os.getpid(), 9)\n", "ended with status -9 and said: nothing"),
        ("    return (torch", "    return None\n    return (torch", "said: METIS gave no partitions"),
    ],
)  # fmt: skip
def test_a_failure_is_told(stand_in: Path, old: str, new: str, said: str) -> None:
    stand_in.write_text(DGL.replace(old, new).replace('print("dgl says hello")\nos.write(1, b"its library too")\n', ""))
    with pytest.raises(LaunchError) as caught:
        metis_assignment(INDPTR, INDICES, CLASSES, 3)
    message = str(caught.value)
    assert message.startswith(
        "graph.partitions: METIS must give each of 4 nodes one of 3 partitions (its process ended"
    )
    assert said in message
    assert message.endswith("Choose a smaller count, or method: random")


def test_more_than_a_pipe_holds_to_a_process_that_dies(stand_in: Path) -> None:
    stand_in.write_text("raise SystemExit('I am out')")
    many = np.zeros(1_000_000, dtype=np.int64)
    with pytest.raises(LaunchError, match="I am out"):
        metis_assignment(np.zeros(1_000_001, dtype=np.int64), many, many, 3)


def test_nothing_to_decide_needs_no_dgl(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dgl", None)
    assert metis_assignment(INDPTR, INDICES, CLASSES, 1).tolist() == [0, 0, 0, 0]
    assert metis_assignment(INDPTR[:1], INDICES[:0], CLASSES[:0], 3).tolist() == []
    with pytest.raises(MissingExtraError, match=r"pip install 'graphstorm-like\[dgl\]'"):
        metis_assignment(INDPTR, INDICES, CLASSES, 2)
