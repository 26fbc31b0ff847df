"""A job on a Ray cluster: a supervisor actor on each host, which starts the same processes as other launchers.

Ray places the actors (STRICT_SPREAD: each host on its own node), gives their addresses, and notices lost nodes. No
tensors go through Ray. Graph folder and output folder must be readable under the same path on all nodes.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from graphstorm_like.config.launchers.ray import RayLaunchConfig
from graphstorm_like.config.load import build_pipeline
from graphstorm_like.config.pipeline import Pipeline
from graphstorm_like.errors import GslError, LaunchError, MissingExtraError
from graphstorm_like.graph.remote.cluster import check_private
from graphstorm_like.graph.remote.credentials import Credentials
from graphstorm_like.launch.authority import new_credentials
from graphstorm_like.launch.host import free_ports, interface_of, job_name, memory_root, sweep, usable_cores
from graphstorm_like.launch.launchers import ray_jobs
from graphstorm_like.launch.launchers.base import LAUNCHERS, Extra, Launcher, Source
from graphstorm_like.launch.prepare import forget_logs, prepare, print_line, write_pipeline
from graphstorm_like.launch.process import Failure
from graphstorm_like.launch.processes import Job, Ports, plan_processes
from graphstorm_like.launch.stages import hold_output, writing
from graphstorm_like.launch.state import STAGES, stage_mark
from graphstorm_like.launch.supervisor import GRACE_SECONDS, Stopping, listening, run_host, with_restarts
from graphstorm_like.progress import Reporter
from graphstorm_like.training.stopping import Stopped

POLL_SECONDS, SETTLE_SECONDS = 0.3, 2.0
WAITING_SECONDS = 15.0
"""Between lines that say what is waited for."""
LOG_FILES, LOG_LINES = 3, 8


@LAUNCHERS.register(RayLaunchConfig)
class RayLauncher(Launcher):
    """See module."""

    extras = (Extra("ray", "ray", "jobs on a Ray cluster"),)

    def __init__(self, config: RayLaunchConfig) -> None:
        super().__init__(config)
        self.waits = not config.elsewhere

    def run(self, pipeline: Pipeline, stages: Sequence[str] = STAGES, fresh: bool = False, quiet: bool = False) -> None:
        """Run stages on the cluster of launch.address. Raises LaunchError, Stopped, MissingExtraError."""
        config: RayLaunchConfig = self.config
        if config.elsewhere:
            raise LaunchError(
                f"launch.address: must be that of a cluster to which this machine belongs (got '{config.address}'). To "
                f"submit a job there: gsl launch PIPELINE --on ray --address {config.address}"
            )
        ray = _ray()
        with writing(Path(pipeline.output)), hold_output(pipeline):
            remaining = prepare(pipeline, stages, fresh, Reporter(quiet))
            if not remaining:
                return
            connects = not ray.is_initialized()
            logs = _connect(ray, config) if connects else None
            with listening() as stopping:
                driver = _Driver(ray, pipeline, config, stopping, logs)
                job = Job(
                    name=job_name(pipeline.name),
                    pipeline_file="",
                    stages=tuple(remaining),
                    addresses=(),
                    ports=Ports(0, ()),
                    fresh=fresh,
                    quiet=quiet,
                    cores=max(1, int(config.cpus * config.trainers)),
                )
                driver.initial_mark = stage_mark(pipeline, job.stages[0])
                try:
                    driver.place()
                    with_restarts(lambda number: driver.attempt(job, number), config.max_restarts, print_line, stopping)
                finally:
                    driver.leave()
                    if connects:
                        ray.shutdown()

    def submit(self, pipeline: Pipeline, source: Source, fresh: bool = False, quiet: bool = False) -> str | None:
        """See Launcher. By the Ray Jobs API where launch.address is a dashboard's URL."""
        if not self.config.elsewhere:
            return super().submit(pipeline, source, fresh, quiet)
        return ray_jobs.submit(ray_jobs.request_of(source, fresh, quiet), self.config)

    def request(self, pipeline: Pipeline, source: Source, fresh: bool = False, quiet: bool = False) -> str:
        """See Launcher. The request to the Ray Jobs API as JSON, where launch.address is a dashboard's URL."""
        if not self.config.elsewhere:
            return super().request(pipeline, source, fresh, quiet)
        return ray_jobs.request_of(source, fresh, quiet).shown()


class HostSupervisor:
    """The actor of one host. `run` takes as long as the job; the other methods are called meanwhile."""

    def __init__(self, host: int) -> None:
        self.host, self._stopping = host, Stopping()
        self._lines: deque[str] = deque()

    def address(self) -> str:
        """IP address of this node. Raises LaunchError when it is public."""
        ray: Any = _ray()
        address = str(ray.util.get_node_ip_address())
        check_private(address)
        return address

    def ports(self, count: int) -> list[int]:
        """Free ports of this node."""
        return free_ports(self.address(), count)

    def run(self, settings: dict[str, Any], job: Job, secret: Credentials) -> Failure | None:
        """Run the host's processes to their end.

        settings: the pipeline as plain JSON, so that plug-ins whose classes it names are imported from their files.
        """
        try:
            pipeline = build_pipeline(settings, plugins=True)
            root, logs = memory_root(), Path(pipeline.output) / "logs"
            sweep(root)
            forget_logs(logs, self.host, job.attempt)
            file = write_pipeline(pipeline, f"pipeline-h{self.host}.json")
            job = replace(job, shm=str(root), pipeline_file=str(file), interface=interface_of(job.addresses[self.host]))
            plans = [plan for plan in plan_processes(pipeline, job) if plan.host == self.host]
            return run_host(plans, job, secret, logs, self._lines.append, self._stopping)
        except Stopped:
            return None
        except (GslError, OSError) as err:
            code = err.exit_code if isinstance(err, GslError) else LaunchError.exit_code
            logs = Path(settings["output"]) / "logs"
            return Failure(f"the supervisor of host {self.host}", self.host, code, (str(err),), str(logs))

    def lines(self) -> list[str]:
        """Output since the last call."""
        return [self._lines.popleft() for _ in range(len(self._lines))]

    def stop(self) -> None:
        """End `run`."""
        self._stopping.ask()


class _Driver:
    """Runs a job from the launcher's process: holds the placement, and the actors of each attempt."""

    def __init__(
        self, ray: Any, pipeline: Pipeline, config: RayLaunchConfig, stopping: Stopping, logs: Path | None = None
    ) -> None:
        self.ray, self.pipeline, self.config, self.stopping, self.logs = ray, pipeline, config, stopping, logs
        self.secret = new_credentials(config.needs_tls)
        self.placement: Any = None
        self.initial_mark: tuple[int | None, int | None] = (None, None)

    def place(self) -> None:
        """Reserve a bundle of resources for each host."""
        config = self.config
        bundle = {"CPU": config.cpus * config.trainers}
        if config.gpus:
            bundle["GPU"] = config.gpus * config.trainers
        # A local cluster is one node, on which hosts that must each have their own would never be placed.
        spreads = config.spread and config.hosts > 1 and config.address != "local"
        strategy = "STRICT_SPREAD" if spreads else "PACK"
        each = ", ".join(f"{number:g} {name}" for name, number in bundle.items())
        room = f"room for {config.hosts} hosts of {each}{' on nodes of their own' if spreads else ''}"
        if config.address == "local" and bundle.get("GPU", 0) * config.hosts > self._gpus():
            raise LaunchError(
                f"launch.address: local must have {room} ({self._nodes()}). Lower launch.gpus, launch.trainers or "
                f"launch.hosts"
            )
        self.placement = self.ray.util.placement_group([bundle] * config.hosts, strategy=strategy)
        self._get([self.placement.ready()], lambda _: f"{room} ({self._nodes()})")

    def _resources(self) -> list[dict[str, float]]:
        return [node["Resources"] for node in self.ray.nodes() if node["Alive"]]

    def _gpus(self) -> float:
        return sum(resources.get("GPU", 0) for resources in self._resources())

    def _nodes(self) -> str:
        nodes = [f"{node.get('CPU', 0):g} CPU, {node.get('GPU', 0):g} GPU" for node in self._resources()]
        return "nodes have " + "; ".join(nodes)

    def attempt(self, job: Job, number: int) -> Failure | None:
        """Actors, addresses, ports, then the job's processes until all end or one fails."""
        config, hosts = self.config, range(self.config.hosts)
        actor_class = self.ray.remote(num_cpus=config.cpus * config.trainers, num_gpus=config.gpus * config.trainers)(
            HostSupervisor
        )
        strategy = self.ray.util.scheduling_strategies.PlacementGroupSchedulingStrategy
        actors = [
            actor_class.options(
                max_concurrency=8,  # `run`, and the other calls meanwhile
                scheduling_strategy=strategy(placement_group=self.placement, placement_group_bundle_index=host),
            ).remote(host)
            for host in hosts
        ]
        try:
            servers = config.servers if config.hosts > 1 else 0
            addresses = tuple(self._get([actor.address.remote() for actor in actors], self._answers("address")))
            if config.port is not None:
                ports = Ports.from_base(config.port, number, config.hosts, servers)
            else:
                references = [actor.ports.remote(servers + (host == 0)) for host, actor in enumerate(actors)]
                ports_by_host = self._get(references, self._answers("free ports"))
                ports = Ports.of([port for of_host in ports_by_host for port in of_host], config.hosts, servers)
            fresh = job.fresh and (number == 0 or stage_mark(self.pipeline, job.stages[0]) == self.initial_mark)
            started_job = replace(job, addresses=addresses, attempt=number, ports=ports, fresh=fresh)
            settings = self.pipeline.model_dump(mode="json")
            return self._watch(actors, [actor.run.remote(settings, started_job, self.secret) for actor in actors])
        except self.ray.exceptions.RayError as err:
            return _lost("a host", 0, err)
        finally:
            for actor in actors:
                self.ray.kill(actor)

    def _watch(self, actors: Sequence[Any], runs: Sequence[Any]) -> Failure | None:
        failures: list[Failure] = []
        ended: set[int] = set()
        deadline = 0.0
        try:
            while len(ended) < len(runs):
                self.stopping.check()
                self._print(actors, ended)
                self.ray.wait(list(runs), num_returns=len(runs), timeout=POLL_SECONDS)
                for host in set(range(len(runs))) - ended:
                    if self.ray.wait([runs[host]], timeout=0)[0]:
                        ended.add(host)
                        if (failure := self._result(runs[host], host)) is not None:
                            failures.append(failure)
                            deadline = deadline or time.monotonic() + SETTLE_SECONDS
                if failures and (min(f.rank for f in failures) == 0 or time.monotonic() >= deadline):
                    break
            self._print(actors, set())
        finally:
            self._stop(actors, [run for host, run in enumerate(runs) if host not in ended])
        return min(failures, key=lambda failure: failure.rank, default=None)

    def _result(self, run: Any, host: int) -> Failure | None:
        try:
            failure: Failure | None = self.ray.get(run)
        except self.ray.exceptions.RayError as err:
            return _lost(f"host {host}", host, err)
        return failure

    def _print(self, actors: Sequence[Any], ended: set[int]) -> None:
        for host, actor in enumerate(actors):
            try:
                for line in self.ray.get(actor.lines.remote(), timeout=GRACE_SECONDS) if host not in ended else ():
                    print_line(line)
            except self.ray.exceptions.RayError:
                pass  # the result of its `run` reports this too

    def _stop(self, actors: Sequence[Any], runs: Sequence[Any]) -> None:
        """Let the supervisors stop their processes. Killing an actor would end them too, but leave its folder
        behind."""
        for actor in actors:
            actor.stop.remote()
        if runs:
            self.ray.wait(list(runs), num_returns=len(runs), timeout=GRACE_SECONDS + 2.0)

    def _answers(self, what: str) -> Callable[[Sequence[int]], str]:
        """Names the hosts whose actors have not answered, with the last lines of Ray's logs on this machine."""

        def missing(hosts: Sequence[int]) -> str:
            names = ", ".join(map(str, hosts))
            return f"the {what} of every host ({self._nodes()}; no answer of the actor of host {names})"

        return missing

    def _get(self, references: Sequence[Any], what: Callable[[Sequence[int]], str]) -> list[Any]:
        """The values. what: says what is waited for, of the references with these numbers. Raises LaunchError after
        launch.timeout_seconds, and Stopped on request."""
        started = time.monotonic()
        next_line, seconds = started + WAITING_SECONDS, self.config.timeout_seconds
        while pending := self.ray.wait(list(references), num_returns=len(references), timeout=POLL_SECONDS)[1]:
            self.stopping.check()
            missing = what([number for number, reference in enumerate(references) if reference in pending])
            if time.monotonic() - started > seconds:
                raise LaunchError("\n".join([f"Ray: must give {missing} within {seconds:g} s", *self._log_tail()]))
            if time.monotonic() > next_line:
                next_line += WAITING_SECONDS
                print_line(f"waiting for {missing}, {time.monotonic() - started:.0f} s of at most {seconds:g} s")
        try:
            return list(self.ray.get(list(references)))
        except self.ray.exceptions.RayTaskError as err:
            raise (err.cause if isinstance(err.cause, GslError) else err) from None

    def _log_tail(self) -> list[str]:
        """The last lines of the logs that Ray's workers and its raylet on this machine wrote last."""
        if self.logs is None:
            return []
        files = [*self.logs.glob("worker-*.err"), *self.logs.glob("raylet.*")]
        files.sort(key=lambda path: path.stat().st_mtime)
        lines = [f"Last lines of Ray's logs in {self.logs}:"]
        for file in files[-LOG_FILES:]:
            tail = file.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_LINES:]
            lines += [f"  {file.name}: {line}" for line in tail]
        return lines

    def leave(self) -> None:
        """Release the resources."""
        if self.placement is not None:
            self.ray.util.remove_placement_group(self.placement)


def _lost(process: str, host: int, err: Exception) -> Failure:
    lines = tuple(line for line in str(err).splitlines() if line.strip())[-10:]
    return Failure(process, host, -9, lines, "Ray's logs", how="its actor was lost")


def _connect(ray: Any, config: RayLaunchConfig) -> Path:
    """Connect to the cluster, or start one; returns the folder of Ray's logs on this machine."""
    own: dict[str, Any] = {}
    if config.address == "local":
        # As many CPUs as the hosts ask for: they share this machine's, as with `launch.on: local`.
        wanted = math.ceil(config.cpus * config.trainers) * config.hosts
        own = {"include_dashboard": False, "num_cpus": max(wanted, usable_cores())}
    try:
        context = ray.init(address=config.address, log_to_driver=False, **own)
    except (ConnectionError, RuntimeError, ValueError) as err:
        raise LaunchError(
            f"launch.address: must be that of a running Ray cluster (got '{config.address}': {err}). Start one with "
            f"ray start --head, or set launch.address: local"
        ) from None
    return Path(context.address_info["session_dir"]) / "logs"


def _ray() -> Any:
    try:
        import ray
        import ray.util.scheduling_strategies
    except ImportError:
        raise MissingExtraError("launch.on: ray", "ray", "ray") from None
    return ray
