"""Neighbour sampling and the fetch of inputs, each alone, over 1, 2, 4 ... partitions of a pipeline's graph.

This process is a trainer of host 0 and reads partition 0 from its files; every other partition has a server in a
process of its own. So a batch costs what it costs on a network, but for the network. Inputs are all that training
reads: features, text vectors, learnable embeddings.

    python benchmarks/bench_sampling.py training_scripts/debian_packages/pipeline.yaml --partitions 1,2,4 --batches 60
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
from cost_model import (
    Batch,
    Layer,
    Measured,
    Traffic,
)
from measure import Clock, exit_with_message, pipeline_of, pipeline_parser
from pydantic import TypeAdapter

from graphstorm_like.allocator import keep_freed_memory
from graphstorm_like.config.base import EdgeType
from graphstorm_like.config.pipeline import Pipeline
from graphstorm_like.config.tasks import TaskConfig
from graphstorm_like.device import choose_device, set_threads
from graphstorm_like.errors import ConfigError, LaunchError
from graphstorm_like.graph.local import LocalGraph
from graphstorm_like.graph.partition_reader import VECTORS
from graphstorm_like.graph.partitioned_graph import PartitionedGraph
from graphstorm_like.graph.remote.cluster import Cluster
from graphstorm_like.graph.remote.credentials import Credentials
from graphstorm_like.graph.remote.encoding import may_lose
from graphstorm_like.graph.remote.graph import RemoteGraph
from graphstorm_like.graph.remote.hot_rows import fill
from graphstorm_like.graph.remote.server import GraphServer
from graphstorm_like.graph.schema import TARGET_COLUMN, read_manifest
from graphstorm_like.graph.shared import create_rows
from graphstorm_like.graph.store import ExcludedEdges, IntArray, RowType, type_name
from graphstorm_like.inputs.build import graph_inputs
from graphstorm_like.inputs.choose import all_texts
from graphstorm_like.inputs.source import CachedText, SharedText, TextVectors
from graphstorm_like.inputs.text import text_vectors
from graphstorm_like.launch.authority import host_credentials, new_credentials
from graphstorm_like.launch.stages import run_pipeline
from graphstorm_like.progress import Reporter
from graphstorm_like.sampling.batch import MiniBatch, StreamPosition
from graphstorm_like.sampling.loader import BatchPipeline
from graphstorm_like.sampling.steps import FetchFeatures, GraphFeature, SampleNeighbors, Sources
from graphstorm_like.tasks import Task, open_graph
from graphstorm_like.training.experiment import seeded_task
from graphstorm_like.training.hot_rows import BATCHES as WARM
from graphstorm_like.training.hot_rows import fixed_columns, needed_rows

ANY, OWN = "any", "own"
"""Whose seeds: of all partitions, or of the trainer's own."""


@dataclasses.dataclass(frozen=True, slots=True)
class RemoteRows:
    """How rows of other hosts travel, and how many megabytes of them are kept; see launch.wire, launch.hot_rows_mb."""

    wire: str
    hot_mb: float


RUNS = TypeAdapter(list[Measured])
_TIMEOUT_S = 60.0
_PINGS = 1000


def parse_counts(text: str) -> list[int]:
    """'1,2,4' -> numbers of partitions; ConfigError for anything else."""
    counts = [int(word) if word.strip().isdigit() else 0 for word in text.split(",")]
    if not all(counts):
        raise ConfigError(f"--partitions: must be whole numbers such as 1,2,4 (got '{text}')")
    return counts


def measure_partitions(
    pipeline: Pipeline, counts: Sequence[int], method: str, batches: int, rows: RemoteRows
) -> list[Measured]:
    """One run for one partition, two (any seeds, own seeds) for more; each in a process of its own."""
    from gconstruct.partition import partition_graph

    quiet = Reporter(quiet=True)
    run_pipeline(pipeline, ["construct"], reporter=quiet)
    assert pipeline.graph.path is not None
    source, runs = Path(pipeline.graph.path), []
    with tempfile.TemporaryDirectory() as scratch:
        for count in counts:
            folder = source
            if count != len(read_manifest(source).partitions):
                folder = Path(scratch) / str(count)
                partition_graph(source, folder, count, method, pipeline.seed)
            there = pipeline.model_copy(update={"graph": pipeline.graph.model_copy(update={"path": str(folder)})})
            command = [sys.executable, __file__, "--worker"]
            command += [str(batches), str(source), rows.wire, str(rows.hot_mb)]
            done = subprocess.run(
                command, input=there.model_dump_json(), capture_output=True, text=True, timeout=3600, check=False
            )
            if done.returncode != 0:
                raise LaunchError(f"benchmark process ended with {done.returncode}:\n{done.stderr[-2000:]}")
            runs += RUNS.validate_json(done.stdout.splitlines()[-1])
    return runs


# -- the measuring process ---------------------------------------------------------------------------------------------


def measure(
    pipeline: Pipeline, batches: int, texts: Path | None = None, rows: RemoteRows = RemoteRows("float32", 0.0)
) -> list[Measured]:
    """Runs over the graph folder as it is partitioned. A first batch opens files and connections and is not counted.

    texts: the same graph in another order, whose text vectors are in the cache: they are not what is measured.
    """
    set_threads(pipeline.launch.threads)
    keep_freed_memory()  # as trainers and servers do
    local = _opened(pipeline, None)
    sources = graph_inputs(pipeline.model, local, _text_vectors(pipeline, local, texts), pipeline.seed).sources
    count = len(local.manifest.partitions)
    if count == 1:
        return [_measure(pipeline, local, sources, "1 partition", None, batches, [])]
    with _servers(local, sources, pipeline.launch.tls) as (cluster, tables, pids):
        graph = _opened(pipeline, dataclasses.replace(cluster, wire=rows.wire, hot_rows_mb=rows.hot_mb))
        there = _elsewhere(graph, sources, tables)
        return [
            _measure(pipeline, graph, there, f"{count} partitions, seeds: {whose}", whose, batches, pids)
            for whose in (ANY, OWN)
        ]


def _text_vectors(pipeline: Pipeline, graph: PartitionedGraph, texts: Path | None) -> TextVectors:
    def embedded(graph: PartitionedGraph) -> TextVectors:
        wanted, device = all_texts(pipeline.model, pipeline.task, graph.manifest), choose_device(pipeline.train.device)
        return text_vectors(pipeline.model, wanted, graph, Path(pipeline.cache), device, Reporter(quiet=True))

    if texts is None:
        return embedded(graph)
    other = LocalGraph(texts)
    found: TextVectors = {}
    for row_type, by_name in embedded(other).items():
        assert isinstance(row_type, str), "texts of edges have no ids to be found by"
        order = pc.index_in(graph.ids(row_type), value_set=other.ids(row_type)).to_numpy()
        found[row_type] = {n: CachedText(v.cache, order) for n, v in by_name.items() if isinstance(v, CachedText)}
    return found


def _opened(pipeline: Pipeline, cluster: Cluster | None) -> PartitionedGraph:
    def remote(
        folder: str | Path, hide: Collection[EdgeType] | Mapping[EdgeType, str | None], held: ExcludedEdges | None
    ) -> RemoteGraph:
        assert cluster is not None
        return RemoteGraph(folder, hide, held, cluster)

    assert pipeline.graph.path is not None
    more = () if cluster is None else (remote,)
    graph = open_graph(pipeline.task, pipeline.graph.path, pipeline.seed, *more)
    assert isinstance(graph, PartitionedGraph)
    return graph


Tables = dict[tuple[RowType, str], str]
"""Names of the hosts' tables of inputs that are not in the graph folder."""


@contextlib.contextmanager
def _servers(local: PartitionedGraph, sources: Sources, tls: bool) -> Iterator[tuple[Cluster, Tables, list[int]]]:
    """A server for each partition but the first, with the hosts' tables; (where they are, tables, process ids)."""
    hosts, tables = len(local.manifest.partitions), {}
    started: list[subprocess.Popen[str]] = []
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as name:
        folders = [Path(name) / f"h{host}" for host in range(hosts)]
        for folder in folders:
            folder.mkdir()
        for row_type, by_name in sources.items():
            for n, source in by_name.items():
                if not isinstance(source, GraphFeature):
                    tables[row_type, n] = f"{VECTORS if isinstance(source, CachedText) else ''}bench:{n}"
                    starts = local.starts(row_type)
                    for folder, first, last in zip(folders, starts[:-1], starts[1:], strict=True):
                        rows = source.rows(np.arange(first, last))
                        assert isinstance(rows, np.ndarray), "sparse rows are features of the graph"
                        made = create_rows(
                            folder, f"{type_name(row_type)}:{tables[row_type, n]}", rows.shape, rows.dtype.str
                        )
                        made[:] = rows
        job, servers = new_credentials(tls), [(("127.0.0.1", 0),)]
        try:
            for host in range(1, hosts):
                command = [sys.executable, __file__, "--serve"]
                command += [str(local.folder), str(host), str(folders[host])]
                server = subprocess.Popen(command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
                started.append(server)
                stdin, stdout = server.stdin, server.stdout
                assert stdin is not None
                assert stdout is not None
                print(json.dumps(host_credentials(job, host).text), file=stdin, flush=True)
                servers.append((("127.0.0.1", int(stdout.readline())),))
            cluster = Cluster("bench", 0, hosts, folders[0], tuple(servers), host_credentials(job, 0), _TIMEOUT_S)
            yield cluster, tables, [each.pid for each in started]
        finally:
            for each in started:
                each.kill()
                each.communicate()


def _elsewhere(graph: PartitionedGraph, sources: Sources, tables: Tables) -> Sources:
    """The same inputs, read from the hosts that have them."""

    def moved(row_type: RowType, name: str) -> GraphFeature | SharedText:
        if (row_type, name) in tables:
            return SharedText(graph, row_type, tables[row_type, name], 0, "")
        return GraphFeature(graph, row_type, name)

    return {t: {n: moved(t, n) for n in by_name} for t, by_name in sources.items()}


def _measure(
    pipeline: Pipeline,
    graph: PartitionedGraph,
    sources: Sources,
    name: str,
    whose: str | None,
    batches: int,
    pids: Sequence[int],
) -> Measured:
    task = seeded_task(pipeline.task, pipeline.seed, graph, pipeline.model.gnn.hidden)
    seeder = task.seeder(pipeline.seed)
    sampling = SampleNeighbors(graph, pipeline.train.fanouts, pipeline.seed, exclude_targets=task.exclude_targets)
    fetch = FetchFeatures(sources)
    if isinstance(graph, RemoteGraph) and graph._cluster.hot_rows_mb:
        before = enumerate(_seeds(pipeline, graph, task, whose, WARM, epoch=1))
        asked_before = (seeder(ids, StreamPosition(1, step)) for step, ids in before)
        _keep_hot(graph, sources, asked_before, sampling, graph._cluster.hot_rows_mb)
    seeds = _seeds(pipeline, graph, task, whose, batches + 1)
    asked = [seeder(ids, StreamPosition(0, step)) for step, ids in enumerate(seeds)]
    fetch(sampling(asked[0]))
    meter = _Meter(graph, pids)
    sampled = [sampling(batch) for batch in asked[1:]]
    first = meter.read(len(sampled))
    meter = _Meter(graph, pids)
    for batch in sampled:
        fetch(batch)
    second = meter.read(len(sampled))
    fetched = fetch(sampled[0])
    sizes = {t: [r.element_size() * r.shape[1] for r in f.values()] for t, f in fetched.features.items()}
    parts = [counts(graph, batch, sizes) for batch in sampled]
    messages, size = zip(first.traffic, second.traffic, strict=True)
    edge_types = len(graph.manifest.edges)
    return Measured(
        name,
        len(graph.parts),
        edge_types,
        _mean([whole for whole, _ in parts]),
        _mean([remote for _, remote in parts]),
        Traffic(messages, (messages[0] * edge_types, messages[1]), size),
        (first.client, second.client),
        (first.server, second.server),
        (first.wall, second.wall),
        _message_cpu(graph),
    )


def _message_cpu(graph: PartitionedGraph) -> float:
    """CPU seconds of this process for a message with one number in it."""
    if not isinstance(graph, RemoteGraph):
        return 0.0
    edge_type, first_row = graph.manifest.edges[0].edge_type, np.zeros(1, dtype=np.int64)
    sizes = np.diff(graph.starts(edge_type))
    part = graph.parts[1 + int(np.argmax(sizes[1:]))]
    clock = Clock()
    for _ in range(_PINGS):
        part.begin_rows((edge_type, TARGET_COLUMN), first_row).wait()
    return clock.cpu / (2 * _PINGS)


def _seeds(
    pipeline: Pipeline, graph: PartitionedGraph, task: Task, whose: str | None, batches: int, epoch: int = 0
) -> Iterator[IntArray]:
    """Rows of the first batches of an epoch, over and over if it is short."""
    stream = task.stream(pipeline.train.batch_size, pipeline.seed)
    order = stream.epoch_order(epoch)
    if whose == OWN:
        order = order[graph.split(_row_type(pipeline.task), order)[0]]
    order = np.tile(order, -(-batches * stream.batch_size // len(order)))
    for step in range(batches):
        yield np.unique(order[step * stream.batch_size : (step + 1) * stream.batch_size])


def _row_type(config: TaskConfig) -> RowType:
    if config.row_type is None:
        raise ConfigError("task.type: must be a task on one node or edge type to measure sampling of own seeds")
    return config.row_type


def _keep_hot(graph: RemoteGraph, sources: Sources, asked: Iterator[MiniBatch], sampling: Any, mb: float) -> None:
    """As training does, from other batches than those that are measured."""
    name, columns = secrets.token_hex(4), {}
    for node_type, of_type in fixed_columns(sources).items():
        columns[node_type] = [column for column in of_type if may_lose(column)]  # not learnable embeddings
    pipeline = BatchPipeline(lambda ids, position: next(asked), [dataclasses.replace(sampling, purpose="hot rows")])
    needed = needed_rows(graph, pipeline, (np.zeros(0, dtype=np.int64) for _ in range(WARM)), list(columns))
    fill(graph, graph._cluster.shm, name, columns, needed, mb)
    graph.use_hot_rows(name, columns)


@dataclasses.dataclass(frozen=True, slots=True)
class _Reading:
    """Of a batch: CPU seconds of the client and of all servers, wall seconds, (messages, bytes)."""

    client: float
    server: float
    wall: float
    traffic: tuple[float, float]


class _Meter:
    """Runs from when it is made."""

    def __init__(self, graph: PartitionedGraph, pids: Sequence[int]) -> None:
        self._graph, self._pids = graph, pids
        self._spoken, self._server, self._clock = _spoken(graph), _cpu(pids), Clock()

    def read(self, batches: int) -> _Reading:
        """Means of a batch."""
        client, wall = self._clock.cpu, self._clock.wall
        server, spoken = _cpu(self._pids) - self._server, _spoken(self._graph)
        messages, size = ((now - then) / batches for now, then in zip(spoken, self._spoken, strict=True))
        return _Reading(client / batches, server / batches, wall / batches, (messages, size))


def _spoken(graph: PartitionedGraph) -> tuple[int, int]:
    return graph.client.traffic if isinstance(graph, RemoteGraph) else (0, 0)


def _cpu(pids: Sequence[int]) -> float:
    """CPU seconds of processes so far, by /proc (Linux; 0 elsewhere)."""
    total = 0.0
    for pid in pids:
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
            total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return total


def counts(graph: PartitionedGraph, batch: MiniBatch, row_bytes: Mapping[str, Sequence[int]]) -> tuple[Batch, Batch]:
    """(a sampled batch, the part of it that partitions other than the first answer). row_bytes: by type and
    input."""
    ids = {t: found.numpy() for t, found in batch.input_ids.items()}
    away = {t: np.searchsorted(graph.starts(t), i, side="right") > 1 for t, i in ids.items()}
    layers: list[list[Layer]] = [[], []]
    for block in reversed(batch.blocks):
        asked, found, edges = np.zeros((3, 2))
        for node_type in {edge.edge_type[2] for edge in graph.manifest.edges} & block.num_dst.keys():
            targets = block.num_dst[node_type]
            asked += (targets, away[node_type][:targets].sum())
        for edge in graph.manifest.edges:
            targets = block.num_dst.get(edge.edge_type[2], 0)
            here = away[edge.edge_type[2]][:targets] if targets else np.zeros(0, dtype=bool)
            if (relation := block.relations.get(edge.edge_type)) is not None:
                rows = here[relation.rows.numpy()]
                found += (len(rows), rows.sum())
                edges += (len(relation.sources), np.diff(relation.offsets.numpy())[rows].sum())
        for i in range(2):
            layers[i].append(Layer(float(asked[i]), float(found[i]), float(edges[i])))
    read = [
        {t: float(len(i)) for t, i in ids.items() if row_bytes.get(t)},
        {t: float(away[t].sum()) for t in ids if row_bytes.get(t)},
    ]
    whole, remote = (
        Batch(
            tuple(layers[i]),
            sum(read[i].values()),
            sum(n * len(row_bytes[t]) for t, n in read[i].items()),
            sum(n * sum(row_bytes[t]) for t, n in read[i].items()),
        )
        for i in range(2)
    )
    return whole, remote


def _mean(batches: Sequence[Batch]) -> Batch:
    def mean(values: Iterator[float]) -> float:
        return sum(values) / len(batches)

    layers = tuple(
        Layer(mean(x.asked for x in same), mean(x.found for x in same), mean(x.edges for x in same))
        for same in zip(*(b.layers for b in batches), strict=True)
    )
    sums = [mean(getattr(b, name) for b in batches) for name in ("inputs", "reads", "input_bytes")]
    return Batch(layers, *sums)


def main(arguments: Sequence[str]) -> None:
    """Print the table. `--worker BATCHES GRAPH`: pipeline on standard input, runs as the last line. `--serve FOLDER
    HOST SHM`: credentials on standard input, port as the first line."""
    if arguments[:1] == ["--serve"]:
        credentials = Credentials.parse(json.loads(sys.stdin.readline()))
        keep_freed_memory()
        server = GraphServer(Path(arguments[1]), int(arguments[2]), Path(arguments[3]), ("127.0.0.1", 0), credentials)
        print(server.address[1], flush=True)
        server.serve()
        return
    if arguments[:1] == ["--worker"]:
        pipeline = Pipeline.model_validate_json(sys.stdin.read())
        rows = RemoteRows(arguments[3], float(arguments[4]))
        print(RUNS.dump_json(measure(pipeline, int(arguments[1]), Path(arguments[2]), rows)).decode())
        return
    from sampling_table import sampling_table

    parser = pipeline_parser("Sampling and the fetch of inputs over partitions.")
    parser.add_argument("--partitions", default="1,2,4", help="numbers of partitions; all but the first have servers")
    parser.add_argument("--method", default="metis", help="how to partition: metis or random")
    parser.add_argument("--batches", type=int, default=30, help="batches to time, after one that is not")
    parser.add_argument("--wire", default="float32", help="as launch.wire: float32, float16 or int8")
    parser.add_argument("--hot-rows-mb", type=float, default=0.0, help="as launch.hot_rows_mb")
    options = parser.parse_intermixed_args(arguments)
    rows = RemoteRows(options.wire, options.hot_rows_mb)
    counts = parse_counts(options.partitions)
    print(
        "\n".join(
            sampling_table(measure_partitions(pipeline_of(options), counts, options.method, options.batches, rows))
        )
    )


if __name__ == "__main__":
    exit_with_message(main)
