"""`gsl apply`: a packed model on new tables or on a graph folder; results in the layout of `gsl infer`."""

from __future__ import annotations

import time
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from graphstorm_like.cache_use import using_cache
from graphstorm_like.config.base import edge_name
from graphstorm_like.deploy.applied import Applied, new_edges
from graphstorm_like.deploy.learnt import Unknown
from graphstorm_like.deploy.model import Model
from graphstorm_like.errors import ConfigError, DataError
from graphstorm_like.files import check_target, recover_target
from graphstorm_like.graph.store import IntArray
from graphstorm_like.inference.export import export
from graphstorm_like.inference.rows import read_ids, read_pairs
from graphstorm_like.inference.writers import MANIFEST_FILE
from graphstorm_like.progress import duration, shown
from graphstorm_like.tasks import Evaluation, LabelTask, LinkPrediction
from graphstorm_like.tasks.outputs import Asked


@dataclass(frozen=True)
class ApplyOptions:
    """What `gsl apply` may be told. attach: graph folder of known rows. ids: file with the ids of the nodes of
    `node_type` (default: the task's) that are asked for. pairs: file with pairs of ids. top_k, format: see `infer:`.
    evaluate: measure on the labels of the new tables. labels: whether they are read. cache: folder of text vectors."""

    attach: Path | None = None
    unknown: Unknown = "refuse"
    ids: Path | None = None
    node_type: str | None = None
    pairs: Path | None = None
    top_k: int | None = None
    format: str = "parquet"
    evaluate: bool = False
    labels: bool = True
    cache: Path | None = None


def apply_model(model: Model, source: str | Path, target: Path, options: ApplyOptions) -> dict[str, Any]:
    """Write what the model says of the rows that are asked for to the folder `target`; returns its manifest. source: a
    graph folder or a YAML of tables. Raises DataError and ConfigError, and then leaves `target` as it was."""
    started = time.monotonic()
    target = target.absolute()
    check_target(target, "--out", "results", MANIFEST_FILE)
    recover_target(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    changes: dict[str, Any] = {"format": options.format}
    if options.top_k is not None:
        changes["top_k"] = options.top_k
    few = options.ids is not None or options.pairs is not None
    held = nullcontext() if options.cache is None else using_cache(options.cache, target)
    with (
        held,
        model.open(
            source,
            attach=options.attach,
            unknown=options.unknown,
            labels=options.labels,
            sweep=not few,
            cache=options.cache,
            changes=changes,
            scratch=target.parent,
        ) as applied,
    ):
        asked, applied = _asked(applied, options)
        more: dict[str, Any] = {"applied": {"unknown": options.unknown, "attached": options.attach is not None}}
        if options.evaluate:
            more["scores"] = evaluate(applied, asked)
            for split, metrics in more["scores"].items():
                model.reporter.line(f"{split}: {shown(metrics)}")
        facts, embedder = model.folder.facts, applied.embedder()
        manifest = export(applied.experiment, target, facts["weights"], embedder, model.reporter, asked, more)
    model.reporter.line(f"{target}: done in {duration(time.monotonic() - started)}")
    return manifest


def _asked(applied: Applied, options: ApplyOptions) -> tuple[Asked, Applied]:
    """The rows that are asked for, and the model with `infer:` set for what is asked of them: of nodes of another type
    than the task's, embeddings alone."""
    if options.pairs is not None:
        if options.ids is not None or options.node_type is not None:
            raise ConfigError("--pairs: must be left out with --ids and --node-type. Ask for both one after the other")
        sources, targets = read_pairs(options.pairs, "--pairs")
        return applied.asked(pairs=pa.table({"source": sources, "target": targets})), applied
    ids = None if options.ids is None else read_ids(options.ids, "--ids")
    if ids is None and options.node_type is None:
        return applied.asked(), applied
    node_type = options.node_type or applied.node_type()
    applied.graph.manifest.node(node_type)
    asked, is_task = applied.asked(ids, node_type=node_type), node_type == applied.predicted_type
    return asked, applied.with_infer({"embeddings": [node_type], "predictions": is_task})


def evaluate(applied: Applied, asked: Asked) -> dict[str, dict[str, float]]:
    """Metrics of the rows that are asked for and have a label, by the name of their split. Raises DataError when there
    are none."""
    task, experiment = applied.experiment.task, applied.experiment
    how = Evaluation("layer_wise", experiment.pipeline.train.fanouts, experiment.pipeline.seed)
    embedder = applied.embedder()
    scores: dict[str, dict[str, float]] = {}
    if isinstance(task, LabelTask):
        wanted = asked.edges if isinstance(task.row_type, tuple) else asked.nodes.get(task.row_type)
        for split, rows in task.labelled_rows().items():
            chosen = rows if wanted is None else np.intersect1d(rows, wanted)
            if len(chosen):
                scores[split] = task.evaluate_rows(embedder, chosen, how)
    elif isinstance(task, LinkPrediction):
        for split in task.scored_splits:
            rows = _asked_links(applied, task, asked, task.rows(split))
            if len(rows):
                scores[split] = task.evaluate_rows(embedder, rows, how)
    else:
        for split in task.scored_splits:
            if len(task.rows(split)):
                scores[split] = task.evaluate(embedder, split, how)
    if not scores:
        row_type = experiment.pipeline.task.row_type
        what = row_type if isinstance(row_type, str) else "" if row_type is None else edge_name(row_type)
        raise DataError(
            f"--evaluate: needs rows of {what or 'the task'} with labels (or of links, a validation or test split) "
            f"among those that are asked for (got none). Add `labels` to the tables' section, or leave --evaluate out"
        )
    return scores


def _asked_links(applied: Applied, task: LinkPrediction, asked: Asked, rows: IntArray) -> IntArray:
    """Of some edges, those that are new and whose sources are asked for."""
    if applied.known is not None:
        rows = np.intersect1d(rows, new_edges(applied.graph, applied.known, task.edge_type))
    elif asked.nodes.get(task.edge_type[0]) is not None:
        rows = rows[np.isin(task.graph.edges(task.edge_type, rows)[0], asked.nodes[task.edge_type[0]])]
    return rows
