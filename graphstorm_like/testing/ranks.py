"""Ranks and servers of a simulated cluster, as processes of this machine, without a launcher: for tests."""

from __future__ import annotations

import json
import os
import socket
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from graphstorm_like.config.pipeline import Pipeline
from graphstorm_like.testing.forked import Program, run_programs

RUN_STAGES = """
import os, sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from graphstorm_like.config.pipeline import Pipeline
from graphstorm_like.launch.stages import Runner
from graphstorm_like.ranks import torch_group
from graphstorm_like.progress import Reporter
torch_group.start(60.0)
try:
    for file in sys.argv[2:]:
        pipeline = Pipeline.model_validate_json(Path(file).read_text())
        Runner(pipeline, Reporter(os.environ["RANK"] != "0"), locked=True).run(sys.argv[1].split(","))
finally:
    torch_group.stop()
sys.stdout.flush()
os._exit(0)  # torch's threads do not always survive the interpreter's end
"""
"""Program of a trainer. Arguments: stages, and pipeline files, one after the other."""

SERVE = """
import sys
from pathlib import Path
from graphstorm_like.graph.remote.server import GraphServer
from graphstorm_like.graph.remote.cluster import Cluster
where = Cluster.from_environment(60.0)
GraphServer(Path(sys.argv[1]), where.host, where.shm, where.servers[where.host][0], where.credentials).serve()
"""
"""Program of a server. Argument: graph folder."""

SERVE_DGL = """
import sys
from pathlib import Path
from graphstorm_like.graph.dgl.server import serve
from graphstorm_like.graph.remote.cluster import Cluster
where = Cluster.from_environment(60.0)
serve(Path(sys.argv[1]), where, 0, int(sys.argv[2]))
"""
"""Program of a server of DGL's. Arguments: graph folder, number of trainers."""


def free_ports(count: int) -> list[int]:
    """Free ports of this machine."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for listener in sockets:
            listener.bind(("127.0.0.1", 0))
        return [listener.getsockname()[1] for listener in sockets]
    finally:
        for listener in sockets:
            listener.close()


@contextmanager
def simulated_cluster(hosts: int, trainers: int, store: str = "own") -> Iterator[list[dict[str, str]]]:
    """Environments of hosts * trainers ranks; a host's server uses that of its local rank 0. store: launch.store."""
    master, *ports = free_ports(hosts + 1)
    with tempfile.TemporaryDirectory(prefix="gsl-test-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as name:
        folder = Path(name)
        (folder / "secret").write_text("ab" * 32, encoding="ascii")
        environments = []
        for rank in range(hosts * trainers):
            host = rank // trainers
            shm = folder / f"h{host}"
            shm.mkdir(exist_ok=True)
            environments.append(
                {
                    **os.environ,
                    "OMP_NUM_THREADS": "1",
                    "RANK": str(rank),
                    "WORLD_SIZE": str(hosts * trainers),
                    "LOCAL_RANK": str(rank % trainers),
                    "LOCAL_WORLD_SIZE": str(trainers),
                    "MASTER_ADDR": "127.0.0.1",
                    "MASTER_PORT": str(master),
                    "GSL_JOB": "test",
                    "GSL_HOST": str(host),
                    "GSL_SHM": str(shm),
                    "GSL_SERVERS": ";".join(f"127.0.0.1:{p}" for p in ports) if hosts > 1 else "",
                    "GSL_SECRET_FILE": str(folder / "secret"),
                    "GSL_STORE": store,
                }
            )
        yield environments


def run_ranks(
    program: str,
    arguments: Sequence[str],
    hosts: int,
    trainers: int,
    graph: Path,
    timeout: float = 120.0,
    store: str = "own",
) -> list[str]:
    """Run a Python program on every rank; returns their outputs. AssertionError with the outputs when one fails."""
    serve, facts = SERVE, [str(graph)]
    if store == "dgl":
        serve, facts = SERVE_DGL, [str(graph), str(hosts * trainers)]
    with (
        simulated_cluster(hosts, trainers, store) as environments,
        tempfile.TemporaryDirectory(prefix="gsl-test-") as name,
    ):
        logs = Path(name)
        servers = [
            Program(serve, facts, environment, str(logs / f"server-{host}"))
            for host, environment in enumerate(environments[::trainers] if hosts > 1 else [])
        ]
        programs = [
            Program(program, arguments, environment, str(logs / f"rank-{rank}"))
            for rank, environment in enumerate(environments)
        ]
        statuses = run_programs(programs, servers, timeout)
        outputs = [Path(one.output).read_text(encoding="utf-8") for one in programs]
        of_servers = "".join(Path(one.output).read_text(encoding="utf-8") for one in servers)
    failed = [f"rank {i} ended with {status}:\n{outputs[i]}" for i, status in enumerate(statuses) if status != 0]
    assert not failed, "\n".join([*failed, of_servers])
    return outputs


def run_stages(pipeline: Pipeline, stages: Sequence[str], hosts: int, trainers: int) -> list[str]:
    """Run stages of a pipeline on several ranks; returns their outputs, in the order of ranks."""
    return run_pipelines([pipeline], stages, hosts, trainers)


def run_pipelines(
    pipelines: Sequence[Pipeline],
    stages: Sequence[str],
    hosts: int,
    trainers: int,
    store: str = "own",
    timeout: float = 120.0,
) -> list[str]:
    """The same for several pipelines over one graph, one after the other in the same processes. store: launch.store."""
    graph = pipelines[0].graph.path
    assert graph is not None
    files = []
    for pipeline in pipelines:
        file = Path(pipeline.output) / "pipeline.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(pipeline.model_dump(mode="json")), encoding="utf-8")
        files.append(str(file))
    return run_ranks(RUN_STAGES, [",".join(stages), *files], hosts, trainers, Path(graph), timeout, store)
