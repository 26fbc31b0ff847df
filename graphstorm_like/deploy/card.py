"""README.md of a packed model: what it is, what it was trained on, how good it is, how to use it, and its limits."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from graphstorm_like.config.base import edge_name
from graphstorm_like.deploy.held_ranks import held_ranks
from graphstorm_like.deploy.held_scores import HeldRows, held_rows
from graphstorm_like.deploy.run import FinishedRun
from graphstorm_like.files import read_object
from graphstorm_like.launch.stages import BESIDE_SCORES, METRICS_FILE
from graphstorm_like.launch.state import DONE_FILE, stage_folder
from graphstorm_like.progress import duration

_MOST_CLASSES = 200
"""Lines of the table of classes."""
COST_FILE = "cost.json"
"""Beside a stage's results: seconds, CPU seconds and peak memory, where they were recorded."""


def write_card(run: FinishedRun, facts: Mapping[str, Any], scores: Mapping[str, Any], target: Path) -> None:
    """Write the model card; the same run gives the same card. facts: see model.json; scores: of `gsl evaluate`."""
    held = held_rows(run)
    measured = held or held_ranks(run)
    lines = [
        *_front_matter(facts),
        f"# {facts['name']}",
        "",
        *_what(run, facts),
        *_data(run),
        *_scores(scores, None if measured is None else measured.intervals()),
        *_classes(held),
        *_cost(run),
        *_use(run, facts),
        *_limits(run, facts),
    ]
    target.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _front_matter(facts: Mapping[str, Any]) -> Iterator[str]:
    """As on Hugging Face."""
    bases = [place.get("of") or place.get("name") for place in facts["lm"].values()]
    named = sorted({base for base in bases if base})
    yield from ("---", "library_name: graphstorm-like", "pipeline_tag: graph-ml")
    yield from ("tags:", f"- {facts['task']['type'].replace('_', '-')}", "- graph", *(["- text"] if bases else []))
    if named:
        yield from ("base_model:", *(f"- {json.dumps(name)}" for name in named))
    yield from ("---", "")


def _what(run: FinishedRun, facts: Mapping[str, Any]) -> Iterator[str]:
    task, gnn = facts["task"], run.pipeline.model.gnn
    row_type, label = run.pipeline.task.row_type, task.get("label")
    about = f" of `{label}`" if isinstance(label, str) else ""
    if isinstance(row_type, str):
        about += f" of nodes of type `{row_type}`"
    elif row_type is not None:
        about += f" of edges `{edge_name(row_type)}`"
    network = "texts alone, no graph" if not facts["edge_types"] else f"{gnn.type}, {gnn.hops} layers"
    yield f"A model for {task['type'].replace('_', ' ')}{about}: {network}; strategy `{facts['strategy']}`."
    for place in facts["lm"].values():
        name, tuned = place.get("of") or place.get("name"), "tuned" if place["tuned"] else "not changed"
        yield f"Its language model is {name} ({tuned})."
    if facts["classes"]:
        listed = ", ".join(f"`{name}`" for name in facts["classes"][:30])
        more = f" and {len(facts['classes']) - 30} more, see model.json" if len(facts["classes"]) > 30 else ""
        yield f"Classes: {listed}{more}."
    yield ""


def _data(run: FinishedRun) -> Iterator[str]:
    yield from ("## Data", "")
    rows = [[f"`{name}`", f"{node.count:,}", ", ".join(node.text) or "-"] for name, node in run.manifest.nodes.items()]
    yield from table(["nodes", "rows", "texts"], rows)
    edges = [edge for edge in run.manifest.edges if not edge.is_reverse]
    if edges:
        yield from table(["edges", "rows"], [[f"`{edge_name(e.edge_type)}`", f"{e.count:,}"] for e in edges])
    counts = _split_counts(run)
    if counts:
        shown = ", ".join(f"{split} {count:,}" for split, count in counts.items() if count)
        yield from (f"Rows of the task by split: {shown}.", "")


def _split_counts(run: FinishedRun) -> Mapping[str, int]:
    row_type, label = run.pipeline.task.row_type, getattr(run.pipeline.task, "label", None)
    if row_type is None:
        return {}
    if isinstance(row_type, str):
        return run.manifest.node(row_type).labels[label].counts if isinstance(label, str) else {}
    edge = run.manifest.edge(row_type)
    return edge.labels[label].counts if isinstance(label, str) else edge.split_counts or {}


def _scores(scores: Mapping[str, Any], intervals: Mapping[str, tuple[float, float]] | None) -> Iterator[str]:
    """intervals: by metric; None: there are no single test rows to draw from."""
    yield from ("## Scores", "")
    splits = {split: metrics for split, metrics in scores.items() if split not in BESIDE_SCORES}
    if not splits:
        yield from ("The run was not evaluated.", "")
        return
    known = intervals or {}
    names = [name for name in dict.fromkeys(n for metrics in splits.values() for n in metrics) if "/" not in name]
    head = ["metric", *splits, *(["95 % of test samples"] if known else [])]
    rows = []
    for name in names:
        numbers = [_number(metrics.get(name)) for metrics in splits.values()]
        bounds = [f"{_number(known[name][0])} to {_number(known[name][1])}"] if name in known else []
        rows.append([name, *numbers, *(bounds or (["-"] if known else []))])
    yield from table(head, rows)
    if known:
        yield "The last column is a bootstrap over test rows or links; it says nothing of other seeds or other data."
    elif intervals is None:
        yield "No intervals: there are no predictions (`gsl infer`) or ranks (`gsl evaluate`) of single test rows."
    protocol = scores.get("protocol")
    if protocol:
        yield "How links were ranked: " + "; ".join(f"{key}: {value}" for key, value in protocol.items()) + "."
    yield ""


def _classes(held: HeldRows | None) -> Iterator[str]:
    rows = [] if held is None else held.of_classes()
    if not rows:
        return
    yield from ("## Classes", "")
    shown = [[f"`{n}`", f"{p:.3f}", f"{r:.3f}", f"{f1:.3f}", f"{count:,}"] for n, p, r, f1, count in rows]
    yield from table(["class", "precision", "recall", "F1", "test rows"], shown[:_MOST_CLASSES])


def _cost(run: FinishedRun) -> Iterator[str]:
    folder = stage_folder(run.pipeline, "train")
    done, cost = read_object(folder / DONE_FILE) or {}, read_object(folder / COST_FILE) or {}
    yield from ("## Cost", "")
    rank, epoch = run.pipeline.infer.kept, (read_object(run.best / METRICS_FILE) or {}).get("epoch", "?")
    chosen = "the best one was number" if rank == 1 else f"this model, number {rank} by validation, is of epoch"
    yield f"Training: {done.get('epochs', '?')} epochs, {chosen} {epoch}."
    if isinstance(cost.get("seconds"), int | float):
        yield f"It took {duration(cost['seconds'])}."
    if isinstance(cost.get("cpu_seconds"), int | float):
        yield f"CPU time: {duration(cost['cpu_seconds'])}."
    if isinstance(cost.get("peak_bytes"), int | float):
        yield f"Peak memory: {cost['peak_bytes'] / 1e9:.2f} GB."
    yield ""


def _use(run: FinishedRun, facts: Mapping[str, Any]) -> Iterator[str]:
    yield from ("## Use", "", "```bash", "gsl apply . --tables new.yaml --out scored/", "```", "")
    yield "`new.yaml` holds a section `graph:` with new tables, without labels. In Python:"
    yield from ("", "```python", "from graphstorm_like.deploy.model import Model", "", 'model = Model.load(".")')
    nodes = ", ".join(f'"{n}": {n}s' for n in facts["node_types"] if not _without_table(run, n)) or "..."
    yield (
        f'table = model.predict({{"nodes": {{{nodes}}}, "edges": {{...}}}})'
        if run.pipeline.task.type != ("graph_pretraining")
        else f'table = model.embed({{"nodes": {{{nodes}}}, "edges": {{...}}}}, "{facts["node_types"][0]}")'
    )
    yield from ("```", "")


def _without_table(run: FinishedRun, node_type: str) -> bool:
    node = run.pipeline.graph.nodes.get(node_type)
    return node is None or not node.has_table


def _limits(run: FinishedRun, facts: Mapping[str, Any]) -> Iterator[str]:
    yield from ("## Limits", "")
    types = ", ".join(f"`{name}`" for name in (*facts["node_types"], *facts["edge_types"]))
    yield f"* It reads graphs with the types {types}, whose columns are prepared as in the training."
    if facts["classes"]:
        yield "* It knows the classes above and no others: every row gets one of them."
    for node_type, learnt in facts["embeddings"].items():
        yield (
            f"* Of `{node_type}` it has learnt a vector a node ({learnt['rows']:,}); new ones are refused, or get a "
            f"stand-in (`--unknown`)."
        )
    if facts["edge_types"]:
        yield "* Predictions depend on neighbours: rows without their edges score differently, see `--attach`."
    yield "* Scores are those of one training with one seed."
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items() if version)
    yield f"* Made with {versions}."


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """A Markdown table, and an empty line."""
    for row in (head, ["---"] * len(head), *rows):
        yield "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in row) + " |"
    yield ""


def _number(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, int | float) else "-"
