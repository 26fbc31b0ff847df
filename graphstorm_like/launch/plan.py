"""The plan: a pipeline's stages, which of them are up to date, and which process runs what. Nothing starts here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, Literal

from graphstorm_like import __version__
from graphstorm_like.config.launchers import LaunchConfig
from graphstorm_like.config.pipeline import Pipeline
from graphstorm_like.config.plugins import plugin_hashes
from graphstorm_like.config.train import NEUTRAL_KEYS
from graphstorm_like.errors import ConfigError, DataError, LaunchError, did_you_mean
from graphstorm_like.files import (
    FileRecord,
    check_files,
    check_saved,
    file_hash,
    file_records,
    files_below,
    read_object,
    record_files,
)
from graphstorm_like.graph.schema import GraphManifest, read_manifest
from graphstorm_like.graph.verify import verify_graph
from graphstorm_like.hashing import hash_facts
from graphstorm_like.text.folders import model_files

STAGES = ("construct", "train", "evaluate", "infer")
DONE_FILE, FINGERPRINT_FILE, BEST = "done.json", "fingerprint.json", "best"
MAIN_FILES = {"train": f"{BEST}/model.safetensors", "evaluate": "metrics.json", "infer": "manifest.json"}
"""Without which a stage has no results."""

# What of `infer:` the scores depend on.
_SCORED_BY = {"mode", "fanouts"}


@dataclass(frozen=True, slots=True)
class Ports:
    """rendezvous: where rank 0 listens; servers: those of each host. 0: not chosen yet."""

    rendezvous: int
    servers: tuple[tuple[int, ...], ...]

    @classmethod
    def from_base(cls, base: int, attempt: int, hosts: int, servers: int) -> Ports:
        """The block of ports of an attempt: another one than the last, whose rendezvous nobody must join again."""
        size = 1 + hosts * servers
        first = base + attempt * size
        if first + size > 65_536:
            raise LaunchError(f"launch.port: must leave room for {size} ports an attempt (got {base})")
        return cls.of(range(first, first + size), hosts, servers)

    @classmethod
    def of(cls, ports: Sequence[int], hosts: int, servers: int) -> Ports:
        """The first for the rendezvous, the rest for the `servers` of each host."""
        rest = ports[1:]
        return cls(ports[0], tuple(tuple(rest[h * servers : (h + 1) * servers]) for h in range(hosts) if servers))


@dataclass(frozen=True, slots=True)
class Job:
    """One attempt to run stages of a pipeline, as all its processes are told of it.

    addresses: of each host; shm: folder that hosts' shared-memory folders lie in. Of the machine: cores, None when
    unknown; gpus, counted only where several hosts are pretended on it; interface, the one with its host's address.
    """

    name: str
    pipeline_file: str
    stages: tuple[str, ...]
    addresses: tuple[str, ...]
    ports: Ports
    shm: str = "/dev/shm"
    attempt: int = 0
    fresh: bool = False
    quiet: bool = False
    cores: int | None = None
    gpus: int = 0
    interface: str | None = None

    def host_shm(self, host: int) -> str:
        """The shared-memory folder of a host."""
        return f"{self.shm}/gsl-{self.name}-h{host}"

    def secret_file(self, host: int) -> str:
        """Where the processes of a host read the job's secret."""
        return f"{self.host_shm(host)}/secret"


@dataclass(frozen=True, slots=True)
class ProcessPlan:
    """One process: its role and number in the job, where it runs, its command and environment.

    cores: threads that it computes with, None: all; memory: bytes to start with, None when the graph is not there yet.
    """

    role: Literal["trainer", "server"]
    number: int
    host: int
    local: int
    address: str
    command: tuple[str, ...]
    environment: dict[str, str]
    cores: int | None = None
    memory: int | None = None

    @property
    def short(self) -> str:
        """t0, s1: what its lines begin with."""
        return f"{self.role[0]}{self.number}"


# Resident sizes before anything is read, measured: 373 MB with torch on CPU, 77 MB without. A host's processes map one
# copy of its partition, which is counted for each of them here. Vectors, model and batches come on top.
_TRAINER_BYTES, _SERVER_BYTES = 373_000_000, 77_000_000


def plan_alone(pipeline: Pipeline, yaml: str) -> ProcessPlan:
    """The one process of `gsl run` where one is enough."""
    threads = pipeline.launch.threads
    environment = {} if threads is None else {"OMP_NUM_THREADS": str(threads)}
    return ProcessPlan("trainer", 0, 0, 0, "localhost", ("gsl", "run", yaml), environment, threads)


def plan_processes(pipeline: Pipeline, job: Job, manifest: GraphManifest | None = None) -> list[ProcessPlan]:
    """All processes of an attempt on all hosts, servers first."""
    launch = pipeline.launch
    own = [p.bytes for p in manifest.partitions] if manifest and len(manifest.partitions) == launch.hosts else None
    plans = []
    for host in range(launch.hosts):
        for i in range(launch.servers if launch.hosts > 1 else 0):
            memory = None if own is None else _SERVER_BYTES + own[host]
            plans.append(_plan_server(launch, job, host, i, memory))
    for host in range(launch.hosts):
        for i in range(launch.trainers):
            memory = None if own is None else _TRAINER_BYTES + own[host]
            plans.append(_plan_trainer(launch, job, host, i, memory))
    return plans


def sketch_job(pipeline: Pipeline, cores: int | None) -> Job:
    """The job as `gsl show plan` knows it before it starts: names for what is chosen then, ports 0."""
    launch = pipeline.launch
    servers = launch.servers if launch.hosts > 1 else 0
    if launch.port is not None:
        ports = Ports.from_base(launch.port, 0, launch.hosts, servers)
    else:
        ports = Ports.of([0] * (1 + launch.hosts * servers), launch.hosts, servers)
    interface = "lo" if launch.simulates_hosts else None
    file = f"{pipeline.output}/launch/pipeline.json"
    return Job("JOB", file, STAGES[1:], launch.host_names(), ports, cores=cores, interface=interface)


def _plan_server(launch: LaunchConfig, job: Job, host: int, i: int, memory: int | None) -> ProcessPlan:
    environment = {**_environment(launch, job, host), "GSL_SERVER_INDEX": str(i), "OMP_NUM_THREADS": "1"}
    number = host * launch.servers + i
    return ProcessPlan("server", number, host, i, job.addresses[host], _command("server", job), environment, 1, memory)


def _plan_trainer(launch: LaunchConfig, job: Job, host: int, i: int, memory: int | None) -> ProcessPlan:
    rank = host * launch.trainers + i
    on_machine = launch.trainers * (launch.hosts if launch.simulates_hosts else 1)
    threads = launch.threads or (None if job.cores is None else max(1, job.cores // on_machine))
    environment = {
        **_environment(launch, job, host),
        "RANK": str(rank),
        "WORLD_SIZE": str(launch.hosts * launch.trainers),
        "LOCAL_RANK": str(i),
        "LOCAL_WORLD_SIZE": str(launch.trainers),
        "MASTER_ADDR": job.addresses[0],
        "MASTER_PORT": str(job.ports.rendezvous),
    }
    if job.interface is not None:  # '=': NCCL takes what begins alike otherwise
        environment |= {"GLOO_SOCKET_IFNAME": job.interface, "NCCL_SOCKET_IFNAME": f"={job.interface}"}
    if threads is not None:
        environment["OMP_NUM_THREADS"] = str(threads)
    if launch.hosts > 1 and job.gpus >= launch.hosts * launch.trainers:
        # Pretended hosts share a machine: each sees GPUs of its own, for NCCL takes no two ranks on one.
        environment["CUDA_VISIBLE_DEVICES"] = ",".join(str(host * launch.trainers + j) for j in range(launch.trainers))
    return ProcessPlan(
        "trainer", rank, host, i, job.addresses[host], _command("trainer", job), environment, threads, memory
    )


def _environment(launch: LaunchConfig, job: Job, host: int) -> dict[str, str]:
    """What trainers and servers are told alike."""
    servers = [
        ",".join(f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}" for port in ports)
        for ip, ports in zip(job.addresses, job.ports.servers, strict=False)
    ]
    return {
        "GSL_JOB": job.name,
        "GSL_HOST": str(host),
        "GSL_SHM": job.host_shm(host),
        "GSL_SERVERS": ";".join(servers) if launch.hosts > 1 else "",
        "GSL_SECRET_FILE": job.secret_file(host),
        "GSL_ATTEMPT": str(job.attempt),
    }


def _command(role: str, job: Job) -> tuple[str, ...]:
    command = ["gsl", "worker", "--role", role, "--pipeline", job.pipeline_file, "--stages", ",".join(job.stages)]
    command += ["--fresh"] if job.fresh else []
    return (*command, *(["--quiet"] if job.quiet else []))


def check_stages(names: Sequence[str]) -> list[str]:
    """Stage names in the order of the pipeline; ConfigError on an unknown one."""
    for name in names:
        if name not in STAGES:
            raise ConfigError(f"unknown stage '{name}' (known: {', '.join(STAGES)}).{did_you_mean(name, STAGES)}")
    return [s for s in STAGES if s in names]


def stage_folder(pipeline: Pipeline, stage: str) -> Path:
    """Where a stage's results lie."""
    if stage == "construct":
        assert pipeline.graph.path is not None
        return Path(pipeline.graph.path)
    return Path(pipeline.output) / stage


def stage_fingerprint(pipeline: Pipeline, stage: str, manifest: GraphManifest) -> str:
    """Hash of all that a stage's results depend on: the graph's contents, the configuration, the version."""
    facts: dict[str, Any] = {
        "version": __version__,
        "graph": manifest.hashes,
        "seed": pipeline.seed,
        "model": pipeline.model.dump_results(),
        "text_models": {name: model_files(name) for name in _text_models(pipeline)},
        "task": pipeline.task.model_dump(mode="json"),
        "train": pipeline.train.model_dump(mode="json", exclude=NEUTRAL_KEYS),
    }
    if plugins := plugin_hashes():
        facts["plugins"] = plugins
    if stage != "train":
        facts["infer"] = pipeline.infer.model_dump(mode="json", include=_SCORED_BY if stage == "evaluate" else None)
    return hash_facts(facts)


def _text_models(pipeline: Pipeline) -> list[str]:
    """Names of all language models, students included."""
    configs = list(pipeline.model.text_encoders().values())
    of_phases = [encoder for phase in pipeline.train.phase_list() for encoder in phase.own_encoders()]
    names = (config.model_name for config in (*configs, *of_phases))
    return sorted({name for name in names if name is not None})


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a stage is not up to date. damaged: it has been, but its files are not what it wrote."""

    text: str
    damaged: bool = False


def is_done(pipeline: Pipeline, stage: str) -> bool:
    """Whether a stage's results are there, whole, and belong to the present configuration and data."""
    return stage_problem(pipeline, stage) is None


def stage_problem(pipeline: Pipeline, stage: str) -> Problem | None:
    """Why a stage must run, if it must: what it depends on has changed, or its results are missing or damaged.

    Sizes are compared each time, contents once a file and modification time (see `files.check_files`).
    """
    if stage == "construct":
        from gconstruct import is_current

        return (
            None if is_current(pipeline.graph) else Problem("its tables or settings have changed, or it is not whole")
        )
    if (problem := _graph_problem(pipeline)) is not None:
        return problem
    folder = stage_folder(pipeline, stage)
    done = read_object(folder / DONE_FILE)
    if done is None:
        return Problem(f"{folder / DONE_FILE} is not there: it has not ended")
    if done.get("fingerprint") != stage_fingerprint(
        pipeline, stage, read_manifest(stage_folder(pipeline, "construct"))
    ):
        return Problem("the configuration, the graph or the version has changed since")
    if stage != "train":
        if (problem := stage_problem(pipeline, "train")) is not None:
            return Problem(f"the training before it is not up to date: {problem.text}")
        # Scores and exports belong to weights, not to a configuration that may have been trained anew.
        if done.get("model") != model_id(pipeline):
            return Problem("it is of other weights")
    return _output_problem(folder, stage, done)


def _graph_problem(pipeline: Pipeline) -> Problem | None:
    """Why no stage can be up to date on the graph folder. Without its tables a folder is taken as it is."""
    from gconstruct import fingerprint

    folder = stage_folder(pipeline, "construct")
    try:
        manifest = read_manifest(folder)
        verify_graph(folder, manifest)
    except DataError as err:
        return Problem(str(err))
    try:
        wanted = fingerprint(pipeline.graph)
    except DataError:
        return None
    if manifest.fingerprint != wanted:
        return Problem("the tables or the graph section have changed since the graph was made")
    return None


def _output_problem(folder: Path, stage: str, done: Mapping[str, Any]) -> Problem | None:
    """Which of a stage's files is missing or not what it wrote."""
    again = "Train again: gsl train --fresh" if stage == "train" else f"Run: gsl {stage}"
    if not (folder / MAIN_FILES[stage]).is_file():
        work = {"train": "training", "evaluate": "evaluation", "infer": "inference"}[stage]
        return Problem(f"{folder / MAIN_FILES[stage]}: is missing, though {work} is finished. {again}", damaged=True)
    try:
        if stage == "train":
            check_saved(folder / BEST, again)
        check_files(folder, file_records(folder / DONE_FILE, done), again)
    except (DataError, OSError) as err:
        return Problem(str(err), damaged=True)
    return None


def output_records(folder: Path, stage: str) -> dict[str, FileRecord]:
    """Records of the files that a stage has written, for done.json. What training saves has records of its own;
    hashes of exported tables are those that their writers have noted."""
    if stage == "train":
        return {}
    manifest = read_object(folder / MAIN_FILES["infer"]) or {}
    tables = manifest.get("tables", {}).values() if stage == "infer" else ()
    hashes = {shard["file"]: shard["blake2b"] for table in tables for shard in table["shards"]}
    return record_files(folder, files_below(folder, (DONE_FILE,)), hashes)


def folder_fingerprint(folder: Path) -> str | None:
    """Of the training that a folder holds, finished or not; None when there is none."""
    fingerprint = (read_object(folder / FINGERPRINT_FILE) or {}).get("fingerprint")
    return fingerprint if isinstance(fingerprint, str) else None


def earlier_run(pipeline: Pipeline) -> Path | None:
    """The training of this very configuration that was set aside as train.1, train.2 ... when another one took its
    place; None when it is in its place, or there is none. A finished one, the last of several."""
    folder = stage_folder(pipeline, "train")
    if _graph_problem(pipeline) is not None:
        return None
    wanted = stage_fingerprint(pipeline, "train", read_manifest(stage_folder(pipeline, "construct")))
    if folder_fingerprint(folder) == wanted:
        return None
    aside = [path for path in folder.parent.glob(f"{folder.name}.*") if path.suffix[1:].isdigit()]
    found = [path for path in aside if folder_fingerprint(path) == wanted]
    return max(found, key=lambda path: ((path / DONE_FILE).is_file(), int(path.suffix[1:])), default=None)


def free_name(folder: Path) -> Path:
    """train.1, train.2 ...: the first name that is not taken."""
    number = 1
    while (target := folder.with_name(f"{folder.name}.{number}")).exists():
        number += 1
    return target


def stage_mark(pipeline: Pipeline, stage: str) -> tuple[int | None, int | None]:
    """Changes when a stage begins anew: its folder is set aside, or its results are declared void."""
    folder = stage_folder(pipeline, stage)
    return (
        folder.stat().st_ino if folder.exists() else None,
        (folder / DONE_FILE).stat().st_mtime_ns if (folder / DONE_FILE).exists() else None,
    )


def best_weights(pipeline: Pipeline) -> Path:
    """The weights that validation chose."""
    return stage_folder(pipeline, "train") / MAIN_FILES["train"]


def model_id(pipeline: Pipeline) -> str | None:
    """Hash of the best weights, node embeddings included; None when there are none, or not what was saved."""
    path = best_weights(pipeline)
    if not path.is_file():
        return None
    try:
        noted = check_saved(path.parent, "")
    except DataError:
        return None
    files = [path, *sorted(path.parent.glob("embedding-*.safetensors"))]
    hashes = [noted.get(file.name) or file_hash(file) for file in files]
    return hashes[0] if len(hashes) == 1 else blake2b("".join(hashes).encode(), digest_size=16).hexdigest()
