"""The processes that a supervisor starts: trainers, which run stages together, and servers of a host's partition."""

from __future__ import annotations

import logging
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

from graphstorm_like.allocator import keep_freed_memory
from graphstorm_like.config.load import build_pipeline
from graphstorm_like.config.pipeline import Pipeline
from graphstorm_like.config.yaml_source import parse_yaml
from graphstorm_like.errors import ConfigError, GslError, LaunchError, LostRankError
from graphstorm_like.launch.process import LOST_RANK
from graphstorm_like.launch.state import stage_folder
from graphstorm_like.progress import LOG_ONLY
from graphstorm_like.training.stopping import ASK_TO_SAVE, Stopped, stop_on_signals


def run_worker(role: str, pipeline_file: Path, stages: Sequence[str], fresh: bool, quiet: bool) -> NoReturn:
    """Run one process of a job, then exit; the environment says which one (docs/operations/distributed.md).

    It exits without Python's clean-up. After a failure that could wait for ever for processes that never answer; after
    success a library's thread may still abort the process (seen with gloo: 'terminate called without an active
    exception').
    """
    try:
        if role == "trainer":
            _train(read_pipeline(pipeline_file), stages, fresh, quiet)
        elif role == "server":
            _serve(read_pipeline(pipeline_file))
        else:
            raise LaunchError(f"--role: must be 'trainer' or 'server' (got '{role}')")
    except LaunchError as err:
        # Mostly a consequence of another process's failure: the supervisor shows it only when no other has a cause.
        message = "\n".join(f"{LOG_ONLY}{line}" for line in f"error: {err}".splitlines())
        _leave(message, LOST_RANK if isinstance(err, LostRankError) else err.exit_code)
    except Stopped as stopped:
        _leave("", stopped.exit_code)
    except GslError as err:
        _leave(f"error: {err}", err.exit_code)
    except Exception:
        _leave(traceback.format_exc(), 1)
    _leave("", 0)


def read_pipeline(path: Path) -> Pipeline:
    """Return a resolved pipeline, as a launcher wrote it for this process: JSON, which is also YAML. Its plug-ins run,
    because the user named them to the launcher."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as err:
        raise ConfigError(f"{path}: must be a file that can be read ({err})") from None
    return build_pipeline(parse_yaml(text, str(path)).data, str(path), plugins=True)


def _train(pipeline: Pipeline, stages: Sequence[str], fresh: bool, quiet: bool) -> None:
    from graphstorm_like.launch.stages import Runner
    from graphstorm_like.progress import Reporter
    from graphstorm_like.ranks import torch_group
    from graphstorm_like.sampling.loader import start_fork_server

    keep_freed_memory()
    threads = pipeline.launch.threads or int(os.environ.get("OMP_NUM_THREADS", "0"))
    if threads:  # all trainers share the host's cores: stages read their number of threads from `launch.threads`
        pipeline = pipeline.model_copy(update={"launch": pipeline.launch.model_copy(update={"threads": threads})})
    if pipeline.launch.hosts > 1 and pipeline.train.workers:
        start_fork_server()  # imports while this process opens the graph
    launch = pipeline.launch
    group = torch_group.start(
        launch.timeout_seconds, pipeline.train.device, Path(pipeline.output), launch.wire, launch.hot_rows_mb
    )
    with stop_on_signals([ASK_TO_SAVE]):
        Runner(pipeline, Reporter(quiet, log_only=group.rank != 0), fresh, locked=True).run(stages)
    # A host that ends early would take its servers away from the others. The leaders' work may take hours.
    group.leader_first("the end of the job")
    group.leader_done("the end of the job")
    group.barrier("the end of the job")
    torch_group.stop()


def _serve(pipeline: Pipeline) -> None:
    from graphstorm_like.graph.remote.cluster import Cluster

    keep_freed_memory()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    where = Cluster.from_environment(pipeline.launch.timeout_seconds)
    index = int(os.environ.get("GSL_SERVER_INDEX", "0"))
    if where is None or where.host >= len(where.servers) or index >= len(where.servers[where.host]):
        raise LaunchError("environment: must name this server in GSL_SERVERS. Start with gsl run or gsl launch")
    if pipeline.launch.uses_dgl:
        from graphstorm_like.graph.dgl.server import serve

        clients = pipeline.launch.hosts * pipeline.launch.trainers
        serve(stage_folder(pipeline, "construct"), where, index, clients)
        return
    from graphstorm_like.graph.remote.server import GraphServer

    address = where.servers[where.host][index]
    server = GraphServer(stage_folder(pipeline, "construct"), where.host, where.shm, address, where.credentials)

    def stop(_number: int, _frame: FrameType | None) -> None:
        server.stop()

    signal.signal(signal.SIGTERM, stop)
    server.serve()


def _leave(message: str, code: int) -> NoReturn:
    sys.stdout.flush()
    print(message, end="\n" * bool(message), file=sys.stderr, flush=True)
    os._exit(code)
