"""What `gsl show` prints: a graph, a real batch step by step, the plan."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from graphstorm_like.config.base import edge_name
from graphstorm_like.config.pipeline import Pipeline
from graphstorm_like.errors import DataError
from graphstorm_like.graph.partitions import partition_report
from graphstorm_like.graph.schema import GraphManifest, read_manifest
from graphstorm_like.launch.launcher import planned_processes
from graphstorm_like.launch.plan import (
    STAGES,
    earlier_run,
    is_done,
    stage_folder,
)
from graphstorm_like.progress import Reporter

Rows = list[list[str]]


def table(header: Sequence[str], rows: Rows) -> Iterator[str]:
    """Lines of a table: numbers to the right, words to the left."""
    widths = [max(len(r[i]) for r in [list(header), *rows]) for i in range(len(header))]
    numeric = [all(re.fullmatch(r"[\d,.%-]*", r[i]) for r in rows) for i in range(len(header))]
    for row in [list(header), *rows]:
        cells = [c.rjust(w) if n else c.ljust(w) for c, w, n in zip(row, widths, numeric, strict=True)]
        yield "  ".join(cells).rstrip()


def show_graph(folder: str | Path) -> Iterator[str]:
    """Types, counts, features, labels and splits of a graph folder."""
    manifest = read_manifest(folder)
    size = sum(p.bytes for p in manifest.partitions)
    yield (
        f"{folder}: {manifest.num_nodes:,} nodes, {manifest.num_edges:,} edges, "
        f"{len(manifest.partitions)} partition(s), {size / 1e6:,.1f} MB"
    )
    yield ""
    rows = [
        [
            name,
            f"{node.count:,}",
            node.id_type,
            ", ".join(f"{n}[{f.width}]" for n, f in node.features.items()) or "-",
            ", ".join([*node.text, *(f"{n} ({i.height} x {i.width})" for n, i in node.image.items())]) or "-",
            ", ".join(f"{n} ({len(v.classes) or 'number'})" for n, v in node.labels.items()) or "-",
        ]
        for name, node in manifest.nodes.items()
    ]
    yield from table(["node type", "nodes", "id", "features", "text, images", "labels"], rows)
    yield ""
    rows = [
        [
            edge_name(edge.edge_type),
            f"{edge.count:,}",
            f"{edge.count / max(1, manifest.nodes[edge.edge_type[2]].count):.2f}",
            ", ".join(f"{n}[{f.width}]" for n, f in edge.features.items()) or "-",
            ", ".join(edge.text) or "-",
            "reverse" if edge.is_reverse else _counts(edge.split_counts or {}),
        ]
        for edge in manifest.edges
    ]
    yield from table(["edge type", "edges", "mean in-degree", "features", "text", "split"], rows)
    labels = [(name, node.labels) for name, node in manifest.nodes.items()]
    labels += [(edge_name(edge.edge_type), edge.labels) for edge in manifest.edges if not edge.is_reverse]
    for name, found in labels:
        for label, schema in found.items():
            yield ""
            yield f"label {name}.{label}: {_counts(schema.counts)}"
            if schema.classes:
                yield f"  {len(schema.classes)} classes: {', '.join(schema.classes)}"
    if len(manifest.partitions) > 1:
        yield ""
        yield from _partitions(folder, [p.bytes for p in manifest.partitions])


def _partitions(folder: str | Path, sizes: Sequence[int]) -> Iterator[str]:
    """Nodes and edges of each partition, and how many edges have their source in it."""
    report = partition_report(folder)
    rows = [
        [
            f"{p}",
            f"{sum(counts[p] for counts in report.nodes.values()):,}",
            f"{sum(counts[p] for counts in report.edges.values()):,}",
            _share(report.local_share(partition=p)),
            f"{size / 1e6:,.1f}",
            ", ".join(f"{name} {counts[p]:,}" for name, counts in report.nodes.items()),
        ]
        for p, size in enumerate(sizes)
    ]
    yield from table(["partition", "nodes", "edges", "local", "MB", "nodes by type"], rows)
    yield ""
    rows = [
        [name, f"{sum(counts):,}", _share(report.local_share(name)), " + ".join(f"{n:,}" for n in counts)]
        for name, counts in report.edges.items()
    ]
    rows.append(["all", f"{sum(map(sum, report.edges.values())):,}", _share(report.local_share()), ""])
    yield from table(["edge type", "edges", "local", "edges by partition"], rows)
    yield "local: share of the edges whose source lies in the same partition as their target"


def _share(share: float) -> str:
    return "-" if math.isnan(share) else f"{100 * share:.1f}%"


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{k} {v:,}" for k, v in counts.items()) or "-"


def show_plan(pipeline: Pipeline, yaml: str) -> Iterator[str]:
    """Stages with their state, and processes."""
    rows = []
    for stage in STAGES:
        state = "up to date" if is_done(pipeline, stage) else "to do"
        if state == "to do" and stage == "train" and (earlier := earlier_run(pipeline)) is not None:
            state = f"to take from {earlier.name}"
        rows.append([stage, state, str(stage_folder(pipeline, stage))])
    yield from table(["stage", "state", "folder"], rows)
    yield ""
    yield from _processes(pipeline, yaml)


def _processes(pipeline: Pipeline, yaml: str) -> Iterator[str]:
    """What `gsl run` starts: a row a process, and what they are told, first alike, then each."""
    launch = pipeline.launch
    plans = planned_processes(pipeline, yaml, _manifest(pipeline))
    rows = [
        [
            f"{plan.role} {plan.number}",
            str(plan.host),
            plan.address,
            str(plan.cores or "all"),
            "-" if plan.memory is None else f"{plan.memory / 1e9:.1f} GB",
        ]
        for plan in plans
    ]
    yield from table(["process", "host", "address", "threads", "memory"], rows)
    yield ""
    for role, command in {plan.role: plan.command for plan in plans}.items():
        yield f"{role}: {' '.join(command)}"
    alike = {k: v for k, v in plans[0].environment.items() if all(p.environment.get(k) == v for p in plans)}
    yield f"environment of all: {_shown(alike)}"
    for plan in plans if len(plans) > 1 else []:
        own = {k: v for k, v in plan.environment.items() if k not in alike}
        yield f"of {plan.role} {plan.number}: {_shown(own)}"
    if launch.port is None and len(plans) > 1:
        yield "port 0: a free one, chosen at the start"


def _shown(environment: dict[str, str]) -> str:
    return " ".join(f"{k}={v}" for k, v in environment.items()) or "-"


def _manifest(pipeline: Pipeline) -> GraphManifest | None:
    try:
        return read_manifest(stage_folder(pipeline, "construct"))
    except DataError:
        return None


def show_batch(pipeline: Pipeline, reporter: Reporter) -> Iterator[str]:
    """The first training batch: each step with its time and what it added, then forward and backward."""
    from graphstorm_like.device import set_threads
    from graphstorm_like.sampling.batch import StreamPosition, tensor_bytes
    from graphstorm_like.training.experiment import build_experiment

    set_threads(pipeline.launch.threads)
    experiment = build_experiment(pipeline, reporter)
    batches = experiment.learner.batches()
    stream = experiment.learner.objective.stream(pipeline.train.batch_size, pipeline.seed)
    ids = stream.epoch_order(0)[: pipeline.train.batch_size]
    position = StreamPosition(0, 0)
    batches.make(ids, position)  # once unmeasured: files get mapped, caches filled
    rows: Rows = []
    started = time.perf_counter()
    batch = batches.seeder(ids, position)
    rows.append([type(batches.seeder).__name__, _ms(started), f"{tensor_bytes(batch):,}"])
    for step in batches.steps:
        started, before = time.perf_counter(), tensor_bytes(batch)
        batch = step(batch)
        rows.append([type(step).__name__, _ms(started), f"{tensor_bytes(batch) - before:,}"])
    started = time.perf_counter()
    loss, count = experiment.learner.backward(batch.to(experiment.device))
    rows.append(["forward and backward", _ms(started), ""])
    yield from table(["step", "ms", "bytes"], rows)
    yield ""
    yield f"loss {loss / count:.4f} over {count:g}"
    for node_type, seeds in batch.seeds.items():
        yield f"seeds {node_type}: {len(seeds):,}"
    yield from experiment.task.describe_batch(batch)
    for node_type, inputs in batch.input_ids.items():
        features = ", ".join(f"{n} {tuple(v.shape)}" for n, v in batch.features.get(node_type, {}).items())
        yield f"input {node_type}: {len(inputs):,} nodes; {features or 'nothing from tables'}"
    for i, block in enumerate(batch.blocks):
        yield f"block {i}: {sum(block.num_src.values()):,} -> {sum(block.num_dst.values()):,} nodes"
        for edge_type, relation in block.relations.items():
            of_edges = "".join(f"; {n} {tuple(v.shape)}" for n, v in relation.inputs.items())
            size = f"{len(relation.sources):,} edges into {len(relation.rows):,} nodes"
            yield f"  {edge_name(edge_type)}: {size}{of_edges}"


def _ms(started: float) -> str:
    return f"{1000 * (time.perf_counter() - started):.1f}"
