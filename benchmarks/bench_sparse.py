"""A wide feature of words, by its entries and as dense rows: construction, a step, layer-wise vectors; memory.

    python benchmarks/bench_sparse.py --nodes 22500 --words 4714

Each form is measured in a process of its own, on the same generated tables: every node has words of its class and of no
class, and edges to nodes that are mostly of its class.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from measure import Clock, peak_rss_mb, table

import gconstruct.features
from graphstorm_like.config import build_pipeline
from graphstorm_like.launch.show.batch import batch_facts
from graphstorm_like.launch.stages import read_scores, run_pipeline
from graphstorm_like.progress import Reporter
from graphstorm_like.training.tracking import read_metrics

CLASSES, WORDS_A_NODE, EDGES_A_NODE = 10, 40, 6
FORMS = {"entries": 512, "dense": 1 << 30}
"""By name, the width from which on rows are stored by their entries."""


def write_tables(folder: Path, nodes: int, words: int) -> None:
    """page.parquet and link.parquet."""
    rng = np.random.default_rng(0)
    kind = rng.integers(CLASSES, size=nodes)
    anywhere = rng.integers(words, size=(nodes, WORDS_A_NODE))
    of_kind = rng.integers(words // CLASSES, size=(nodes, WORDS_A_NODE)) * CLASSES + kind[:, None]
    drawn = np.where(rng.random((nodes, WORDS_A_NODE)) < 0.1, of_kind, anywhere)
    lists = [[f"w{word}" for word in row] for row in drawn.tolist()]
    columns = {"id": np.arange(nodes), "words": lists, "kind": [f"k{k}" for k in kind.tolist()]}
    pq.write_table(pa.table(columns), folder / "page.parquet")
    source = rng.integers(nodes, size=EDGES_A_NODE * nodes)
    order = np.argsort(kind, kind="stable")
    sizes = np.bincount(kind, minlength=CLASSES)
    begins = np.cumsum(sizes) - sizes
    of_class = order[begins[kind[source]] + (rng.random(len(source)) * sizes[kind[source]]).astype(np.int64)]
    target = np.where(rng.random(len(source)) < 0.5, of_class, rng.integers(nodes, size=len(source)))
    pq.write_table(pa.table({"source": source, "target": target}), folder / "link.parquet")


def pipeline(tables: Path, output: Path, words: int) -> dict[str, Any]:
    """One epoch over 5 steps of 512 nodes."""
    node = {
        "files": "page.parquet",
        "id": "id",
        "features": {"words": {"encode": "multi_hot", "column": "words", "max_categories": words}},
        "labels": {"kind": {"column": "kind", "split": {"train": 0.1137, "valid": 0.02, "test": 0.05}}},
    }
    return {
        "output": str(output),
        "graph": {
            "base": str(tables),
            "nodes": {"page": node},
            "edges": [{"source": "page", "relation": "links", "target": "page", "files": "link.parquet"}],
        },
        "model": {"gnn": {"type": "rgcn", "hidden": 128, "layers": 2}},
        "task": {"type": "node_classification", "node_type": "page", "label": "kind"},
        "train": {"epochs": 2, "batch_size": 512, "fanouts": [10, 10], "precision": "float32", "workers": 0},
        "launch": {"on": "local", "threads": 1},
    }


def measure(form: str, folder: Path, words: int) -> dict[str, Any]:
    """Run one form in this process."""
    gconstruct.features.SPARSE_WIDTH = FORMS[form]  # type: ignore[attr-defined]
    config = build_pipeline(pipeline(folder, folder / form, words)).with_absolute_paths(folder)
    quiet, clock = Reporter(quiet=True), Clock()
    row: dict[str, Any] = {"form": form}
    run_pipeline(config, ["construct"], reporter=quiet)
    files = list(Path(str(config.graph.path)).rglob("*.arrow"))
    row |= {"construct CPU s": f"{clock.cpu:.1f}", "construct peak MB": f"{peak_rss_mb():,.0f}"}
    row["graph MB"] = f"{sum(path.stat().st_size for path in files) / 1e6:,.0f}"
    facts = batch_facts(config, quiet)
    row["fetch ms"] = f"{facts['steps'][-2]['milliseconds']:,.0f}"
    row["step ms"] = f"{facts['steps'][-1]['milliseconds']:,.0f}"
    row["batch MB"] = f"{sum(step['bytes'] or 0 for step in facts['steps']) / 1e6:,.1f}"
    clock = Clock()
    run_pipeline(config, ["train"], reporter=quiet)
    losses = [record["loss"] for record in read_metrics(folder / form / "train") if record["kind"] == "train"]
    row["train CPU s"], row["peak MB"] = f"{clock.cpu:.1f}", f"{peak_rss_mb():,.0f}"
    run_pipeline(config, ["evaluate"], reporter=quiet)
    return {**row, "last loss": f"{losses[-1]:.4f}", "test accuracy": f"{read_scores(config)['test']['accuracy']:.4f}"}


def main() -> None:
    """Print a line a form."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=22_500)
    parser.add_argument("--words", type=int, default=4_714, help="different words")
    parser.add_argument("--form", choices=FORMS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.form is not None:
        print(json.dumps(measure(options.form, options.folder, options.words)))
        return
    rows = []
    with tempfile.TemporaryDirectory(prefix="gsl-bench-") as name:
        write_tables(Path(name), options.nodes, options.words)
        for form in FORMS:
            command = [sys.executable, __file__, "--words", str(options.words), "--form", form, "--folder", name]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            rows.append(json.loads(done.stdout.splitlines()[-1]))
    print("\n".join(table(list(rows[0]), [list(row.values()) for row in rows])))


if __name__ == "__main__":
    main()
