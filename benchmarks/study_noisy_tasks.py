"""Several tasks on one graph, of which one has wrong labels: weightings of tasks through the whole pipeline.

    python benchmarks/study_noisy_tasks.py --seeds 3

Four labels of ten classes on the nodes of a generated graph, each a function of a node's own inputs and of the means of
its neighbours', which the labels share in part; a graph network (SAGE) and a head a task, `task.type: multi`. A share
of one task's training labels is drawn anew; its test labels are right. Prints a line a setting, mean and standard
deviation over seeds; weight: the noisy task's share in the mean of the last epoch (an equal one is .25).
"""

from __future__ import annotations

import argparse
import functools
import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from study_objectives import Numbers, run, table

TASKS, CLASSES, WIDTH = 4, 10, 16
NODES, TRAINING, NEIGHBOURS = 4500, 1500, 6
WAYS = {
    "fixed": {"type": "fixed"},
    "uncertainty": {"type": "uncertainty"},
    "group_dro (.003)": {"type": "group_dro", "step_size": 3e-3, "warmup_epochs": 3},
    "excess_risk (.003)": {"type": "excess_risk", "step_size": 3e-3, "warmup_epochs": 3},
    "excess_risk (.01)": {"type": "excess_risk", "step_size": 1e-2, "warmup_epochs": 3},
}


def write_graph(folder: Path, noise: float, seed: int) -> None:
    """Nodes with inputs x and labels t0 ... t3, and links between them; t0 is the task with wrong labels."""
    rng = np.random.default_rng([seed, 7])
    x = rng.normal(size=(NODES, WIDTH))
    neighbours = rng.integers(NODES, size=(NODES, NEIGHBOURS))
    around = x[neighbours].mean(axis=1) * np.sqrt(NEIGHBOURS)
    both = np.concatenate([x, around], axis=1)
    common = np.tanh(both @ rng.normal(size=(2 * WIDTH, 32)) / 4.0)
    labels = [(common @ rng.normal(size=(32, CLASSES))).argmax(axis=1) for _ in range(TASKS)]
    split = np.where(np.arange(NODES) < TRAINING, "train", "test")
    wrong = (split == "train") & (rng.random(NODES) < noise)
    labels[0] = np.where(wrong, rng.integers(CLASSES, size=NODES), labels[0])
    ids = np.array([f"n{number}" for number in range(NODES)])
    columns: dict[str, Any] = {"id": ids, "split": split}
    for number, values in enumerate(labels):
        columns[f"t{number}"] = np.array([f"c{value}" for value in values])
    for number in range(WIDTH):
        columns[f"x{number}"] = x[:, number]
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), folder / "node.parquet")
    ends = {"source": ids[neighbours.reshape(-1)], "target": np.repeat(ids, NEIGHBOURS)}
    pq.write_table(pa.table(ends), folder / "link.parquet")


def pipeline_of(folder: Path, way: str, seed: int) -> dict[str, Any]:
    """The pipeline of a setting."""
    names = [f"t{number}" for number in range(TASKS)]
    features = {"x": {"columns": [f"x{number}" for number in range(WIDTH)], "normalize": "none"}}
    labels = {name: {"column": name, "split": {"column": "split"}} for name in names}
    node = {"files": "node.parquet", "id": "id", "features": features, "labels": labels}
    edge = {"source": "node", "relation": "link", "target": "node", "files": "link.parquet"}
    edge |= {"source_id": "source", "target_id": "target"}
    tasks = {name: {"type": "node_classification", "node_type": "node", "label": name} for name in names}
    train = {"epochs": 40, "batch_size": 125, "fanouts": [NEIGHBOURS], "lr": 5e-3, "evaluate_every": None}
    return {
        "output": str(folder / "run"),
        "seed": seed,
        "graph": {"base": str(folder / "tables"), "nodes": {"node": node}, "edges": [edge], "report": False},
        "model": {"gnn": {"type": "sage", "layers": 1, "hidden": 48, "dropout": 0.0}},
        "task": {"type": "multi", "tasks": tasks, "weighting": WAYS[way]},
        "train": {**train, "early_stop": None, "track": {"every_steps": 1}},
    }


def share_of_noisy(folder: Path) -> float:
    """The noisy task's share of the weights, in the mean of the last epoch's steps."""
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    steps = [row for row in rows if "weight/t0" in row]
    last = max(row["epoch"] for row in steps)
    shares = []
    for row in steps:
        if row["epoch"] == last:
            shares.append(row["weight/t0"] / sum(row[f"weight/t{number}"] for number in range(TASKS)))
    return float(np.mean(shares))


def measure(way: str, noise: float, seed: int) -> Numbers:
    """Test accuracy of the task with wrong labels and of the others, and the former's share of the weights."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_graph(folder / "tables", noise, seed)
        scores = run(pipeline_of(folder, way, seed), folder)
        others = [scores[f"t{number}.accuracy"] for number in range(1, TASKS)]
        weight = share_of_noisy(folder / "run" / "train")
        return {"noisy task": scores["t0.accuracy"], "other tasks": float(np.mean(others)), "weight": weight}


def rows(noises: list[float]) -> Iterator[tuple[str, Callable[[int], Numbers]]]:
    """Settings, by noise and weighting."""
    for noise in noises:
        for way in WAYS:
            yield f"{noise:.0%} wrong | {way}", functools.partial(measure, way, noise)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--noise", type=float, nargs="+", default=[0.0, 0.4, 0.8])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    table(rows(arguments.noise), arguments.seeds)


if __name__ == "__main__":
    main()
