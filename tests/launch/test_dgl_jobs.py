"""Jobs with DGL's servers, by `gsl run`: what one process finds, and a killed server."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from graphstorm_like.bench.jobs import members, running
from graphstorm_like.config import load_pipeline
from graphstorm_like.launch.launcher import launch
from graphstorm_like.launch.process import GSL
from graphstorm_like.launch.stages import read_scores, run_pipeline
from graphstorm_like.progress import Reporter
from graphstorm_like.testing.graphs import shop_pipeline, write_shop
from graphstorm_like.testing.text import tiny_text_model
from tests.launch.faults import record

pytestmark = [
    pytest.mark.slow,
    pytest.mark.dist,
    pytest.mark.dgl,
    pytest.mark.skipif(importlib.util.find_spec("dgl") is None, reason="needs dgl"),
]
DGL: dict[str, Any] = {"hosts": 2, "store": "dgl", "dgl": {"trusted_network": True}, "threads": 1}


def pipeline(folder: Path, tables: Path, task: str, fanout: int, epochs: int = 3, **launch: Any) -> Path:
    """Without dropout, so that nothing but the neighbours is drawn."""
    data = shop_pipeline(tables, folder / "run", task)
    data["graph"] |= {"partitions": {"count": 2}, "path": str(tables.parent / "graph")}
    data["model"]["gnn"]["dropout"] = data["model"]["input_dropout"] = 0.0
    data["train"] |= {"fanouts": [fanout, fanout], "precision": "float32", "early_stop": None}
    data["train"] |= {"checkpoint": {"every_steps": 1}, "epochs": epochs}
    data["launch"] = {"on": "local", "timeout_seconds": 60.0, **launch}
    folder.mkdir(exist_ok=True)
    (folder / "pipeline.yaml").write_text(yaml.safe_dump(data), encoding="utf-8")
    return folder / "pipeline.yaml"


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shop(tmp_path_factory.mktemp("shop") / "tables")


def losses(folder: Path) -> list[float]:
    """Of every step, the last attempt's where there were several."""
    lines = (folder / "run" / "train" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    found = {line["update"]: line["loss"] for line in map(json.loads, lines) if line["kind"] == "train"}
    return [found[update] for update in sorted(found)]


@pytest.mark.parametrize(("task", "trainers"), [("node_classification", 1), ("link_prediction", 2)])
def test_all_neighbours_give_what_one_process_gives(tables: Path, tmp_path: Path, task: str, trainers: int) -> None:
    """Learnable embeddings, which other hosts read from the servers, included."""
    one = pipeline(tmp_path / "one", tables, task, -1)
    run_pipeline(load_pipeline(one), reporter=Reporter(quiet=True))
    two = pipeline(tmp_path / "two", tables, task, -1, **DGL, trainers=trainers)
    with running([*GSL, "run", str(two)]) as job:
        code, said = job.end()
    assert code == 0, said
    found, expected = losses(tmp_path / "two"), losses(tmp_path / "one")
    assert found[:8] == pytest.approx(expected[:8], rel=5e-5)
    assert found == pytest.approx(expected, abs=1e-3)  # Adam makes more of rounding, step by step
    for split, metrics in read_scores(load_pipeline(one)).items():
        assert read_scores(load_pipeline(two))[split] == pytest.approx(metrics, abs=2e-3)


@pytest.mark.parametrize("strategy", ["joint"])
def test_strategies_that_tune_a_language_model(tables: Path, tmp_path: Path, strategy: str) -> None:
    """As with the own store: tokens, the table of vectors in training and its exchange go over DGL's servers."""
    lm, found = tiny_text_model(tmp_path / "lm"), []
    for store, changes in (("own", {"hosts": 2, "threads": 1}), ("dgl", DGL)):
        file = pipeline(tmp_path / store, tables, "node_classification", -1, **changes)
        data = yaml.safe_load(file.read_text(encoding="utf-8"))
        data["model"]["text_encoder"] = {"name": str(lm), "max_tokens": 16, "dtype": "float32"}
        data["model"]["inputs"] = {"item": {"text": ["title"]}}
        data["train"] |= {"strategy": strategy, "lm": {"dropout": 0.0}, "checkpoint": {}}
        file.write_text(yaml.safe_dump(data), encoding="utf-8")
        with running([*GSL, "run", str(file)]) as job:
            code, said = job.end()
        assert code == 0, said
        found.append((losses(tmp_path / store), read_scores(load_pipeline(file))))
    (own, own_scores), (dgl, dgl_scores) = found
    assert dgl[:4] == pytest.approx(own[:4], rel=5e-5)
    assert dgl == pytest.approx(own, abs=5e-3)
    assert dgl_scores["test"] == pytest.approx(own_scores["test"], abs=2e-2)


def test_a_killed_server_is_started_again(tables: Path, tmp_path: Path) -> None:
    """The job goes on from its resume point, and ends with the weights of a run that nothing disturbed: DGL's sampler
    draws from the seeds of ours."""
    weights, memory = [], tmp_path / "memory"
    memory.mkdir()
    for name in ("undisturbed", "killed"):
        file = pipeline(tmp_path / name, tables, "node_classification", 3, 6, **DGL, max_restarts=1)
        with running([*GSL, "run", str(file)], {"GSL_SHM_ROOT": str(memory)}) as job:
            if name == "killed":
                job.wait_for(r"epoch 2/")
                killed = time.monotonic()
                os.kill(members(job.pid)["server-1"], signal.SIGKILL)
            code, said = job.end()
            noticed, resumed = job.when("must run to its end"), job.when("resuming at epoch")
        assert code == 0, said
        weights.append((tmp_path / name / "run" / "train" / "best" / "model.safetensors").read_bytes())
    assert "server 1 on host 1: must run to its end, but was killed by SIGKILL" in said
    assert "restarting from the last checkpoint (restart 1 of 1)" in said
    assert noticed is not None
    assert resumed is not None
    assert weights[0] == weights[1]
    assert list(memory.iterdir()) == []
    record("store: dgl: SIGKILL of a server", "restart, the same end", noticed - killed, resumed - killed)


@pytest.mark.ray
def test_on_two_nodes_of_ray(tables: Path, tmp_path: Path) -> None:
    """Ray only places the supervisors, which start the same processes."""
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    file = pipeline(tmp_path, tables, "node_classification", 3)
    changes = ["launch.on=ray", "launch.hosts=2", "launch.store=dgl", "launch.dgl.trusted_network=true"]
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        cluster.add_node(num_cpus=1)
        environment = {"env_vars": {"PYTHONPATH": str(Path(__file__).parents[2])}}
        ray.init(address=cluster.address, log_to_driver=False, runtime_env=environment)
        launch(load_pipeline(file, [*changes, "launch.timeout_seconds=120.0"]), ["construct", "train"])
    finally:
        ray.shutdown()
        cluster.shutdown()  # type: ignore[no-untyped-call]
    assert len(losses(tmp_path)) > 10
    logs = tmp_path / "run" / "logs" / "attempt-0"
    assert {log.name for log in logs.iterdir()} >= {"server-h0-0.log", "server-h1-0.log", "trainer-h1-0.log"}
