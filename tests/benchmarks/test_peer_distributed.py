"""Both sides over hosts and trainers: the same inputs for both, cases, the stand-in for ssh, rows of the table."""

from __future__ import annotations

import argparse
import os
import subprocess
from pathlib import Path

import bench_distributed
import numpy as np
import peer_hosts
import pyarrow as pa
import pytest
from bench_peer import Result
from peer_measure import Epoch, Run

from gconstruct import build_graph
from graphstorm_like.config import load_pipeline
from graphstorm_like.graph.local import LocalGraph

NAMES = [f"pkg{i}" for i in range(12)]


def test_cases() -> None:
    assert bench_distributed.case("ours:2x1") == ("ours", 2, 1)
    assert bench_distributed.case("dgl:2x1") == ("dgl", 2, 1)
    for wrong in ("ours", "theirs:1x1", "ours:0x1", "peer:2x", "dgl:1x2"):
        with pytest.raises(argparse.ArgumentTypeError, match="must be like ours:2x1"):
            bench_distributed.case(wrong)


def test_our_graph_has_the_vectors(tmp_path: Path) -> None:
    tables = {
        "package": pa.table(
            {
                "name": NAMES,
                "text": NAMES,
                "section_label": ["a", "b"] * 6,
                "section_split": ["train", "valid", "test"] * 4,
            }
        ),
        "depends": pa.table({"source": NAMES[:-1], "target": NAMES[1:]}),
    }
    vectors = np.arange(36, dtype=np.float32).reshape(12, 3)
    pipeline = load_pipeline(bench_distributed.our_pipeline(tmp_path, tables, vectors, epochs=2))
    assert pipeline.model.text_encoder is None
    build_graph(pipeline.graph)
    graph = LocalGraph(str(pipeline.graph.path))
    np.testing.assert_array_equal(graph.feature("package", "vector"), vectors)
    assert graph.manifest.node("package").text == {}


def test_ssh_stand_in_enters_the_host(tmp_path: Path) -> None:
    """What GraphStorm says, with an nsenter that only tells what it was given."""
    (tmp_path / "nsenter").write_text('#!/bin/sh\nprintf "%s|" "$@"\n', encoding="ascii")
    (tmp_path / "ssh").write_text(peer_hosts._SSH, encoding="ascii")
    (tmp_path / "10.77.0.2").write_text("4242", encoding="ascii")
    for name in ("nsenter", "ssh"):
        (tmp_path / name).chmod(0o755)
    said = subprocess.run(
        "ssh -o StrictHostKeyChecking=no -p 22 root@10.77.0.2 'cd /a; export B=\"c d\"; run'",
        shell=True,
        env={"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
        timeout=10,
    ).stdout
    assert said == '-t|4242|-n|-m|sh|-c|cd /a; export B="c d"; run|'


def test_row() -> None:
    epochs = [Epoch(9, 9, 9, 9, 0.1, None, 20.0), Epoch(2, 3, 4, 5, 0.3, None), Epoch(4, 5, 6, 7, 0.5, None)]
    run = Run(100.0, 150.0, 1234.5, [(0.0, 0.0), (50.0, 100.0), (100.0, 150.0)], [])
    assert bench_distributed.row("x", Result(run, run, epochs, 0.7, None)) == [
        "x", "100.0", "150.0", "20.0", "40.0", "3.0", "4.0", "6.0", "100.0", "150.0", "1,234", "0.5000", "0.7000",
    ]  # fmt: skip
    assert len(bench_distributed.HEAD) == 13
