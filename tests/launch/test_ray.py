"""Jobs on a real Ray of two simulated nodes: the actors run real supervisors, the workers do nothing else."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from graphstorm_like.config import Pipeline, load_pipeline
from graphstorm_like.errors import LaunchError
from graphstorm_like.launch.launcher import launch
from graphstorm_like.launch.launchers.ray import _Driver
from graphstorm_like.launch.stages import run_pipeline
from graphstorm_like.launch.supervisor import Stopping
from graphstorm_like.progress import Reporter
from graphstorm_like.testing.graphs import write_shop_pipeline

from .test_supervisor import alive, wait_until

ray = pytest.importorskip("ray")
pytestmark = [pytest.mark.slow, pytest.mark.dist, pytest.mark.ray]

# Stands where `python` stands in `python -m graphstorm_like.cli.main worker ...`.
FAKE = """#!{python}
import json, os, pathlib, signal, sys, time
role = sys.argv[sys.argv.index("--role") + 1]
file = pathlib.Path(sys.argv[sys.argv.index("--pipeline") + 1])
attempt, rank = os.environ["GSL_ATTEMPT"], os.environ.get("RANK", "")
if role == "server":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.pause()
told = {{k: v for k, v in os.environ.items() if k.startswith(("GSL_", "MASTER", "RANK", "OMP"))}}
told |= {{"secret": pathlib.Path(os.environ["GSL_SECRET_FILE"]).read_text(), "pid": os.getpid(), "ppid": os.getppid()}}
(file.parent / f"told-{{rank}}-{{attempt}}.json").write_text(json.dumps(told))
print("hello of", rank, flush=True)
fails = file.parents[1] / "fails"
what = fails.read_text() if attempt == "0" and rank == "1" and fails.exists() else ""
if what == "process":
    os.kill(os.getpid(), 9)
if what == "actor":
    os.kill(os.getppid(), 9)
    time.sleep(60)
if what == "config":
    print("error: no such key")
    sys.exit(2)
if fails.exists() and attempt == "0":
    time.sleep(60)
"""


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Two nodes of 2 CPUs, whose actors start FAKE for Python."""
    from ray.cluster_utils import Cluster

    python = tmp_path_factory.mktemp("bin") / "python"
    python.write_text(FAKE.format(python=sys.executable))
    python.chmod(0o755)
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False})
    cluster.add_node(num_cpus=2)
    root = str(Path(__file__).parents[2])  # Ray's workers find `tests` there, wherever pytest was started
    environment = {
        "env_vars": {"GSL_TEST_PYTHON": str(python), "PYTHONPATH": root},
        "worker_process_setup_hook": use_fake,
    }
    ray.init(address=cluster.address, log_to_driver=False, runtime_env=environment)
    yield
    ray.shutdown()
    cluster.shutdown()


def use_fake() -> None:
    import os

    from graphstorm_like.launch import process

    process.GSL = (os.environ["GSL_TEST_PYTHON"],)


def shop(tmp_path: Path, *changes: str) -> Pipeline:
    common = ["launch.on=ray", "launch.hosts=2", "graph.partitions.count=2", "launch.timeout_seconds=180.0", *changes]
    pipeline = load_pipeline(write_shop_pipeline(tmp_path), common)
    run_pipeline(pipeline, ["construct"], reporter=Reporter(quiet=True))
    return pipeline


def told(tmp_path: Path) -> dict[str, dict[str, str]]:
    return {p.stem: json.loads(p.read_text()) for p in (tmp_path / "run" / "launch").glob("told-*.json")}


@pytest.mark.known_answer("launchers/ray")
def test_two_hosts(nodes: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    launch(shop(tmp_path, "launch.trainers=2", "launch.cpus=1.0"), ["train"])
    found = told(tmp_path)
    assert set(found) == {f"told-{rank}-0" for rank in range(4)}
    assert len({one["secret"] for one in found.values()}) == 2, "a certificate for each host"
    assert len({one["secret"].split()[0] for one in found.values()}) == 1
    assert [found[f"told-{rank}-0"]["GSL_HOST"] for rank in range(4)] == ["0", "0", "1", "1"]
    assert found["told-0-0"]["ppid"] == found["told-1-0"]["ppid"] != found["told-2-0"]["ppid"]
    assert len({one["MASTER_PORT"] for one in found.values()}) == 1
    assert len(found["told-0-0"]["GSL_SERVERS"].split(";")) == 2
    assert found["told-0-0"]["OMP_NUM_THREADS"] == "1"
    out = capsys.readouterr().out
    assert {f"[t{rank}] hello of {rank}" for rank in range(4)} <= set(out.splitlines())
    assert not Path(found["told-0-0"]["GSL_SHM"]).exists()
    log = (tmp_path / "run" / "logs" / "attempt-0" / "trainer-h1-0.log").read_text()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d hello of 2\n", log)


@pytest.mark.parametrize("what", ["process", "actor"])
def test_a_death_starts_all_again(nodes: None, tmp_path: Path, capsys: pytest.CaptureFixture[str], what: str) -> None:
    pipeline = shop(tmp_path, "launch.max_restarts=1")
    (tmp_path / "run" / "fails").write_text(what)
    launch(pipeline, ["train"])
    found = told(tmp_path)
    assert set(found) == {"told-0-0", "told-1-0", "told-0-1", "told-1-1"}
    assert found["told-0-0"]["MASTER_PORT"] != found["told-0-1"]["MASTER_PORT"]
    out = capsys.readouterr().out
    assert ("was killed by SIGKILL" if what == "process" else "its actor was lost") in out
    wait_until(lambda: not any(alive(int(one["pid"])) for one in found.values()), 5)


def test_too_many_and_what_would_only_fail_again(nodes: None, tmp_path: Path) -> None:
    pipeline = shop(tmp_path)
    (tmp_path / "run" / "fails").write_text("process")
    with pytest.raises(LaunchError, match="trainer 1 on host 1: must run to its end, but was killed by SIGKILL"):
        launch(pipeline, ["train"])
    (tmp_path / "run" / "fails").write_text("config")
    again = pipeline.model_copy(update={"launch": pipeline.launch.model_copy(update={"max_restarts": 3})})
    with pytest.raises(LaunchError, match=r"ended with status 2 \(ConfigError\)(.|\n)*no such key") as caught:
        launch(again, ["train"])
    assert caught.value.exit_code == 2
    assert all(name.endswith("-0") for name in told(tmp_path))


def test_no_room(nodes: None, tmp_path: Path) -> None:
    pipeline = shop(tmp_path, "launch.cpus=64.0", "launch.timeout_seconds=1.0")
    with pytest.raises(LaunchError, match=r"room for 2 hosts of 64 CPU on nodes of their own \(nodes have 2 CPU"):
        launch(pipeline, ["train"])


class SilentRay:
    """A Ray whose second actor never answers."""

    def wait(self, references: list[str], num_returns: int, timeout: float) -> tuple[list[str], list[str]]:
        return references[:1], references[1:]

    def nodes(self) -> list[dict[str, Any]]:
        return [{"Alive": True, "Resources": {"CPU": 2.0}}]


def test_a_time_out_names_who_did_not_answer(tmp_path: Path) -> None:
    (tmp_path / "worker-7.err").write_text("starting\nno space left\n")
    pipeline = load_pipeline(
        write_shop_pipeline(tmp_path), ["launch={on: ray, hosts: 2, timeout_seconds: 0.05}", "graph.partitions.count=2"]
    )
    driver = _Driver(SilentRay(), pipeline, pipeline.launch, Stopping(), tmp_path)
    message = (
        r"address of every host \(nodes have 2 CPU, 0 GPU; no answer of the actor of host 1\) within 0.05 s\n"
        r"Last lines of Ray's logs in .*\n(.*\n)*  worker-7.err: no space left"
    )
    with pytest.raises(LaunchError, match=message):
        driver._get(["of host 0", "of host 1"], driver._answers("address"))


def test_hosts_of_a_local_cluster_share_its_node(tmp_path: Path) -> None:
    """A group whose hosts must each have a node of their own would wait there until the time-out."""
    file = write_shop_pipeline(tmp_path)
    more = ["launch.trainers=2", "graph.partitions.count=2", "launch.timeout_seconds=60", "train.epochs=1"]
    command = [sys.executable, "-m", "graphstorm_like.cli.main", "launch", str(file), "--on", "ray"]
    command += ["--address", "local", "launch.hosts=2", *more]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "test: accuracy" in done.stdout


GNN = '''
from typing import Literal
from graphstorm_like.config.gnns import GnnConfig
class MineConfig(GnnConfig):
    """Mine."""
    type: Literal["of_a_ray_test"]
    hidden: int = 16
'''


def test_a_plug_in_beside_the_yaml(nodes: None, tmp_path: Path) -> None:
    """The actors could not read a pipeline with a class of a module that they cannot find by its name."""
    (tmp_path / "plugin_of_a_ray_test.py").write_text(GNN)
    plugin = ["plugins=[./plugin_of_a_ray_test.py]", "model.gnn={type: of_a_ray_test, layers: 2}"]
    launch(shop(tmp_path, *plugin), ["train"])
    assert set(told(tmp_path)) == {"told-0-0", "told-1-0"}
