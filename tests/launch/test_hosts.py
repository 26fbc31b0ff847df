"""Two hosts with addresses, cables and shared memory of their own, each with its supervisor; cables are pulled."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from graphstorm_like.bench.jobs import Watched
from graphstorm_like.config import load_pipeline
from graphstorm_like.launch.authority import make_secret_file
from graphstorm_like.launch.process import GSL
from graphstorm_like.launch.stages import read_scores, run_pipeline
from graphstorm_like.progress import Reporter
from graphstorm_like.testing.graphs import shop_pipeline, write_shop
from tests.launch.faults import record
from tests.launch.netns import Network, network, what_is_missing

pytestmark = [
    pytest.mark.slow,
    pytest.mark.dist,
    pytest.mark.netns,
    pytest.mark.skipif(bool(what_is_missing()), reason=what_is_missing()),
]
EPOCHS = 40
PORT = 29_500


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tables and a graph folder of two partitions."""
    folder = tmp_path_factory.mktemp("hosts")
    write_shop(folder / "tables")
    pipeline = write_pipeline(folder, folder, {"on": "local"})
    run_pipeline(load_pipeline(pipeline), ["construct"], reporter=Reporter(quiet=True))
    return folder


def write_pipeline(folder: Path, tables: Path, launch: dict[str, object]) -> Path:
    """A pipeline whose results depend on nothing but the graph: all neighbours, no dropout, float32."""
    data = shop_pipeline(tables / "tables", folder / "run")
    data["graph"] |= {"path": str(tables / "graph"), "partitions": {"count": 2}}
    data["model"] |= {"gnn": {"type": "rgcn", "hidden": 16, "layers": 2, "dropout": 0.0}, "input_dropout": 0.0}
    data["train"] |= {"fanouts": [-1, -1], "precision": "float32", "epochs": EPOCHS, "early_stop": None}
    data["train"] |= {"checkpoint": {"every_steps": 3}}
    data["launch"] = {"threads": 1} | launch
    (folder / "pipeline.yaml").write_text(yaml.safe_dump(data), encoding="utf-8")
    return folder / "pipeline.yaml"


class Cluster:
    """The hosts of a job, and its stranger: host `hosts` of the network."""

    def __init__(self, net: Network, folder: Path, tables: Path) -> None:
        self.net, self.folder, self.tables, self.jobs = net, folder, tables, list[Watched]()

    def start(self, **launch: object) -> None:
        """Start both hosts."""
        addresses = [self.net.address(0), self.net.address(1)]
        common: dict[str, object] = {"on": "external", "hosts": 2, "addresses": addresses, "port": PORT}
        file = write_pipeline(self.folder, self.tables, common | launch)
        secret = self.folder / "secret"
        make_secret_file(secret)
        for host in range(2):
            command = [*GSL, "host", str(file), "--index", str(host), "--secret-file", str(secret)]
            self.jobs.append(self.net.start(host, command))

    def end(self) -> tuple[list[int], list[str]]:
        """Exit status and lines of each host."""
        ends = [job.end() for job in self.jobs]
        return [code for code, _ in ends], [said for _, said in ends]

    @property
    def scores(self) -> dict[str, dict[str, float]]:
        return read_scores(load_pipeline(self.folder / "pipeline.yaml"))

    @property
    def losses(self) -> list[float]:
        lines = (self.folder / "run/train/metrics.jsonl").read_text().splitlines()
        return [record["loss"] for record in map(json.loads, lines) if record["kind"] == "train"]

    @property
    def weights(self) -> bytes:
        return (self.folder / "run/train/best/model.safetensors").read_bytes()


Make = Callable[[Path], Cluster]


@pytest.fixture(scope="module")
def make(tables: Path) -> Iterator[Make]:
    """A cluster at one switch, one after the other: a folder of its own each."""
    with network(3) as net:
        clusters: list[Cluster] = []

        def one(folder: Path) -> Cluster:
            for old in clusters:
                for job in old.jobs:
                    job.stop()
            for host in range(2):
                net.plug(host)
            clusters.append(Cluster(net, folder, tables))
            return clusters[-1]

        try:
            yield one
        finally:
            for cluster in clusters:
                for job in cluster.jobs:
                    job.stop()


@pytest.fixture(scope="module")
def undisturbed(make: Make, tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    cluster = make(tmp_path_factory.mktemp("undisturbed"))
    cluster.start()
    codes, said = cluster.end()
    assert codes == [0, 0], "\n".join(said)
    return cluster


def test_two_hosts_find_what_one_process_finds(undisturbed: Cluster, tables: Path, tmp_path: Path) -> None:
    pipeline = load_pipeline(write_pipeline(tmp_path, tables, {"on": "local"}))
    run_pipeline(pipeline, reporter=Reporter(quiet=True))
    for split, metrics in read_scores(pipeline).items():
        assert undisturbed.scores[split] == pytest.approx(metrics, abs=1e-6)
    assert "accuracy" in (undisturbed.folder / "run/report.html").read_text()


def test_two_trainers_on_each_host(make: Make, undisturbed: Cluster, tmp_path: Path) -> None:
    cluster = make(tmp_path)
    cluster.start(trainers=2)
    codes, said = cluster.end()
    assert codes == [0, 0], "\n".join(said)
    for split, metrics in undisturbed.scores.items():
        assert cluster.scores[split] == pytest.approx(metrics, abs=1e-6)


STRANGER = """
import os, random, socket, sys, time
until, tried = time.monotonic() + float(sys.argv[1]), [0, 0]
while time.monotonic() < until:
    for i, address in enumerate(sys.argv[2:]):
        ip, _, port = address.partition(":")
        try:
            with socket.create_connection((ip, int(port)), timeout=0.5) as one:
                one.sendall(os.urandom(random.choice((1, 16, 4096))))
                tried[0] += 1
        except OSError:
            tried[1] += 1
print(*tried)
"""


@pytest.mark.parametrize("target", ["server", "rendezvous"])
def test_a_stranger_on_the_network(make: Make, undisturbed: Cluster, tmp_path: Path, target: str) -> None:
    """Random bytes at the port of a server and at that of the rendezvous change nothing."""
    cluster = make(tmp_path)
    cluster.start()
    cluster.jobs[0].wait_for(r"epoch 3/")
    port = {"rendezvous": PORT, "server": PORT + 1}[target]
    said = cluster.net.run(2, [GSL[0], "-c", STRANGER, "5", f"{cluster.net.address(0)}:{port}"])
    assert int(said.split()[0]) > 10
    codes, lines = cluster.end()
    assert codes == [0, 0], "\n".join(lines)
    assert cluster.weights == undisturbed.weights
    assert cluster.scores == undisturbed.scores
    assert "starting again" not in "".join(lines)
    record(f"a stranger sends random bytes to the {target}", "nothing changes")


def test_a_short_break_of_the_network(make: Make, undisturbed: Cluster, tmp_path: Path) -> None:
    cluster = make(tmp_path)
    cluster.start(timeout_seconds=60.0)
    cluster.jobs[0].wait_for(r"epoch 3/")
    cluster.net.pull(1)
    time.sleep(5.0)
    before, back = len(cluster.losses), time.monotonic()
    cluster.net.plug(1)
    while len(cluster.losses) <= before and time.monotonic() < back + 120.0:
        time.sleep(0.1)
    recovered = time.monotonic() - back + 5.0
    codes, said = cluster.end()
    assert codes == [0, 0], "\n".join(said)
    assert "starting again" not in "".join(said)
    assert cluster.weights == undisturbed.weights
    assert cluster.scores == undisturbed.scores
    record("network gone for 5 s (launch.timeout_seconds: 60)", "the job waits, and goes on", recovered=recovered)


@pytest.mark.skipif(not os.environ.get("GSL_LONG"), reason="takes minutes; run with GSL_LONG=1")
def test_a_long_break_of_the_network(make: Make, undisturbed: Cluster, tmp_path: Path) -> None:
    """Both hosts give up, start again, wait for each other while the network is away, and meet when it is back."""
    cluster = make(tmp_path)
    cluster.start(timeout_seconds=20.0, max_restarts=2)
    cluster.jobs[0].wait_for(r"epoch 3/")
    gone = time.monotonic()
    cluster.net.pull(1)
    time.sleep(60.0)
    cluster.net.plug(1)
    codes, said = cluster.end()
    assert codes == [0, 0], "\n".join(said)
    noticed, resumed = cluster.jobs[0].when("starting again"), cluster.jobs[0].when("resuming at epoch")
    assert noticed is not None
    assert resumed is not None
    assert cluster.weights == undisturbed.weights
    assert cluster.scores == undisturbed.scores
    record(
        "network gone for 60 s (launch.timeout_seconds: 20)",
        f"the hosts start again, {said[0].count('starting again')} time(s), and meet when it is back",
        noticed - gone,
        resumed - gone,
    )


def test_a_network_that_stays_away(make: Make, tmp_path: Path) -> None:
    """Each host says what it waited for, and ends; nothing is left running."""
    cluster = make(tmp_path)
    cluster.start(timeout_seconds=10.0)
    cluster.jobs[0].wait_for(r"epoch 3/")
    gone = time.monotonic()
    cluster.net.pull(1)
    codes, said = cluster.end()
    assert codes == [6, 6], "\n".join(said)
    for lines in said:
        assert "within 10 s" in lines
    cluster.net.plug(1)
    record(
        "network gone for good (launch.timeout_seconds: 10, no restarts)",
        "LaunchError on each host",
        max(job.lines[-1][0] for job in cluster.jobs) - gone,
    )
