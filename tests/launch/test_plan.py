"""The plan of processes: a pure function, so that what runs can be read before it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from graphstorm_like.config import Pipeline, load_pipeline
from graphstorm_like.errors import LaunchError
from graphstorm_like.graph.remote.cluster import Cluster
from graphstorm_like.launch.fingerprints import stage_fingerprint
from graphstorm_like.launch.processes import Job, Ports, plan_processes
from graphstorm_like.launch.show.plan import show_plan
from graphstorm_like.testing.graphs import write_shop_pipeline


def pipeline(tmp_path: Path, **launch: Any) -> Pipeline:
    changes = [f"launch.{key}={value}" for key, value in launch.items()]
    return load_pipeline(write_shop_pipeline(tmp_path), [*changes, f"graph.partitions.count={launch.get('hosts', 1)}"])


def job(hosts: int, servers: int = 1, **more: Any) -> Job:
    ports = Ports.from_base(5000, more.get("attempt", 0), hosts, servers if hosts > 1 else 0)
    addresses = tuple(f"10.0.0.{i + 1}" for i in range(hosts))
    return Job("shop-1", "/out/launch/pipeline.json", ("train", "infer"), addresses, ports, **more)


def test_two_hosts(tmp_path: Path) -> None:
    config = pipeline(tmp_path, on="external", hosts=2, trainers=2, servers=1)
    plans = plan_processes(config, job(2, cores=9, quiet=True))
    assert [(p.short, p.host, p.local, p.address, p.cores) for p in plans] == [
        ("s0", 0, 0, "10.0.0.1", 1),
        ("s1", 1, 0, "10.0.0.2", 1),
        ("t0", 0, 0, "10.0.0.1", 4),
        ("t1", 0, 1, "10.0.0.1", 4),
        ("t2", 1, 0, "10.0.0.2", 4),
        ("t3", 1, 1, "10.0.0.2", 4),
    ]
    common = ["--pipeline", "/out/launch/pipeline.json", "--stages", "train,infer", "--quiet"]
    assert list(plans[0].command) == ["gsl", "worker", "--role", "server", *common]
    assert list(plans[5].command) == ["gsl", "worker", "--role", "trainer", *common]
    host1 = {
        "GSL_JOB": "shop-1",
        "GSL_HOST": "1",
        "GSL_SHM": "/dev/shm/gsl-shop-1-h1",
        "GSL_SERVERS": "10.0.0.1:5001;10.0.0.2:5002",
        "GSL_SECRET_FILE": "/dev/shm/gsl-shop-1-h1/secret",
        "GSL_ATTEMPT": "0",
    }
    assert plans[1].environment == {**host1, "GSL_SERVER_INDEX": "0", "OMP_NUM_THREADS": "1"}
    assert plans[5].environment == {
        **host1,
        "RANK": "3",
        "WORLD_SIZE": "4",
        "LOCAL_RANK": "1",
        "LOCAL_WORLD_SIZE": "2",
        "MASTER_ADDR": "10.0.0.1",
        "MASTER_PORT": "5000",
        "OMP_NUM_THREADS": "4",
    }


def test_processes_read_what_the_plan_says(tmp_path: Path) -> None:
    plans = plan_processes(
        pipeline(tmp_path, hosts=2, servers=2, trainers=1), job(2, servers=2, shm=str(tmp_path / "shm"))
    )
    secret = Path(plans[-1].environment["GSL_SECRET_FILE"])
    secret.parent.mkdir(parents=True)
    secret.write_text("ab" * 32)
    where = Cluster.from_environment(5.0, plans[-1].environment)
    assert where is not None
    assert (where.host, where.hosts, where.credentials.token) == (1, 2, "ab" * 32)
    assert where.servers == ((("10.0.0.1", 5001), ("10.0.0.1", 5002)), (("10.0.0.2", 5003), ("10.0.0.2", 5004)))


def test_one_host_has_no_servers(tmp_path: Path) -> None:
    plans = plan_processes(pipeline(tmp_path, trainers=3), job(1))
    assert [p.short for p in plans] == ["t0", "t1", "t2"]
    assert {p.environment["GSL_SERVERS"] for p in plans} == {""}


def test_addresses_of_six_bytes_words(tmp_path: Path) -> None:
    from dataclasses import replace

    plans = plan_processes(pipeline(tmp_path, hosts=2), replace(job(2), addresses=("fd00::1", "fd00::2")))
    assert plans[0].environment["GSL_SERVERS"] == "[fd00::1]:5001;[fd00::2]:5002"


def test_memory_is_that_of_the_partition(tmp_path: Path) -> None:
    from gconstruct import build_graph
    from graphstorm_like.graph.schema import read_manifest

    config = pipeline(tmp_path)
    build_graph(config.graph)
    manifest = read_manifest(str(config.graph.path))
    (plan,) = plan_processes(config, job(1), manifest)
    assert plan.memory == 373_000_000 + manifest.partitions[0].bytes
    two = pipeline(tmp_path, hosts=2)
    assert all(p.memory is None for p in plan_processes(two, job(2), manifest)), "of another number of partitions"


def test_an_attempt_is_told(tmp_path: Path) -> None:
    for attempt, fresh in ((0, True), (1, False)):
        (plan,) = plan_processes(pipeline(tmp_path), job(1, attempt=attempt, fresh=fresh))
        assert ("--fresh" in plan.command) is fresh
        assert plan.environment["GSL_ATTEMPT"] == str(attempt)


def test_attempts_share_no_port() -> None:
    seen: set[int] = set()
    for attempt in range(4):
        ports = Ports.from_base(5000, attempt, 2, 3)
        own = {ports.rendezvous, *(p for host in ports.servers for p in host)}
        assert len(own) == 7
        assert not own & seen
        seen |= own
    assert seen == set(range(5000, 5028))
    with pytest.raises(LaunchError, match="must leave room for 7 ports"):
        Ports.from_base(65_000, 100, 2, 3)


def test_simulated_hosts_share_cores_and_gpus(tmp_path: Path) -> None:
    config = pipeline(tmp_path, hosts=2, trainers=2)
    trainers = plan_processes(config, job(2, cores=8, gpus=4))[2:]
    assert [p.cores for p in trainers] == [2, 2, 2, 2]
    assert [p.environment["CUDA_VISIBLE_DEVICES"] for p in trainers] == ["0,1", "0,1", "2,3", "2,3"]
    assert all("CUDA_VISIBLE_DEVICES" not in p.environment for p in plan_processes(config, job(2, gpus=1)))
    fixed = plan_processes(pipeline(tmp_path, hosts=2, threads=3), job(2, cores=8))
    assert [p.cores for p in fixed] == [1, 1, 3, 3]


def test_in_one_process_as_ever(tmp_path: Path) -> None:
    assert pipeline(tmp_path, threads=2).launch.in_process
    assert not pipeline(tmp_path, trainers=2).launch.in_process
    assert not pipeline(tmp_path, on="ray").launch.in_process


def test_launch_changes_no_result(tmp_path: Path) -> None:
    from gconstruct import build_graph
    from graphstorm_like.graph.schema import read_manifest

    one, many = pipeline(tmp_path), pipeline(tmp_path, on="ray", hosts=1, trainers=8, threads=3, max_restarts=2)
    build_graph(one.graph)
    manifest = read_manifest(str(one.graph.path))
    for stage in ("train", "evaluate", "infer"):
        assert stage_fingerprint(one, stage, manifest) == stage_fingerprint(many, stage, manifest)


def test_the_plan_is_shown(tmp_path: Path) -> None:
    config = pipeline(tmp_path, hosts=2, port=7000, threads=1)
    text = "\n".join(show_plan(config, "p.yaml")).replace(config.output, "OUT")
    assert text.split("\n\n", 1)[1] == PLAN


PLAN = """\
process    host    address  threads  memory
server 0      0  127.0.0.1        1       -
server 1      1  127.0.0.1        1       -
trainer 0     0  127.0.0.1        1       -
trainer 1     1  127.0.0.1        1       -

server: gsl worker --role server --pipeline OUT/launch/pipeline.json --stages train,evaluate,infer
trainer: gsl worker --role trainer --pipeline OUT/launch/pipeline.json --stages train,evaluate,infer
environment of all: GSL_JOB=JOB GSL_SERVERS=127.0.0.1:7001;127.0.0.1:7002 GSL_ATTEMPT=0 OMP_NUM_THREADS=1
of server 0: GSL_HOST=0 GSL_SHM=/dev/shm/gsl-JOB-h0 GSL_SECRET_FILE=/dev/shm/gsl-JOB-h0/secret GSL_SERVER_INDEX=0
of server 1: GSL_HOST=1 GSL_SHM=/dev/shm/gsl-JOB-h1 GSL_SECRET_FILE=/dev/shm/gsl-JOB-h1/secret GSL_SERVER_INDEX=0
of trainer 0: GSL_HOST=0 GSL_SHM=/dev/shm/gsl-JOB-h0 GSL_SECRET_FILE=/dev/shm/gsl-JOB-h0/secret RANK=0 WORLD_SIZE=2 \
LOCAL_RANK=0 LOCAL_WORLD_SIZE=1 MASTER_ADDR=127.0.0.1 MASTER_PORT=7000 GLOO_SOCKET_IFNAME=lo NCCL_SOCKET_IFNAME==lo
of trainer 1: GSL_HOST=1 GSL_SHM=/dev/shm/gsl-JOB-h1 GSL_SECRET_FILE=/dev/shm/gsl-JOB-h1/secret RANK=1 WORLD_SIZE=2 \
LOCAL_RANK=0 LOCAL_WORLD_SIZE=1 MASTER_ADDR=127.0.0.1 MASTER_PORT=7000 GLOO_SOCKET_IFNAME=lo NCCL_SOCKET_IFNAME==lo"""
