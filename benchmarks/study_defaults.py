"""Defaults of graph networks on several graphs: validation accuracy with few labels and with many.

    python benchmarks/study_defaults.py --planetoid FOLDER --seeds 2

generated   a graph without text, 20 labels a class (study_few_labels.py)
shop        training_scripts/shop: products, users, queries; MiniLM; 55 labels a class
cora, citeseer   papers, their words and citations: 20 labels a class (the public split), or 60 % of all. FOLDER holds
            the files ind.cora.* and ind.citeseer.* of github.com/kimiyoung/planetoid (Yang et al., ICML 2016)

All else is the library's default: ten epochs, `train.batch_size: auto`. Validation accuracy of the best epoch, mean of
the seeds; no test label is read.
"""

from __future__ import annotations

import argparse
import json
import pickle
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import scipy.sparse as sp
import torch
from study_few_labels import WIDTH, write_graph

from graphstorm_like.config import build_pipeline, load_pipeline
from graphstorm_like.launch.stages import run_pipeline
from graphstorm_like.progress import Reporter
from graphstorm_like.training.experiment import build_experiment
from graphstorm_like.training.trainer import Trainer

QUIET = Reporter(quiet=True)
SHOP = Path(__file__).parents[1] / "training_scripts" / "shop" / "classes.yaml"
Settings = dict[str, Any]
SETTINGS: dict[str, tuple[Settings, Settings]] = {
    "rgcn": ({"type": "rgcn"}, {}),
    "rgcn, batches of 1,024": ({"type": "rgcn"}, {"batch_size": 1024}),
    "rgcn, dropout .5": ({"type": "rgcn", "dropout": 0.5}, {}),
    "rgcn, no residual": ({"type": "rgcn", "residual": False}, {}),
    "gcn, residual": ({"type": "gcn", "residual": True}, {}),
    "gcn": ({"type": "gcn"}, {}),
    "gcn, dropout .5": ({"type": "gcn", "dropout": 0.5}, {}),
    "sage": ({"type": "sage"}, {}),
    "sage, no residual, dropout .5": ({"type": "sage", "residual": False, "dropout": 0.5}, {}),
    "gatv2": ({"type": "gatv2"}, {}),
    "gatv2, no residual": ({"type": "gatv2", "residual": False}, {}),
    "hgt": ({"type": "hgt"}, {}),
    "hgt, no residual": ({"type": "hgt", "residual": False}, {}),
    "transformer": ({"type": "transformer"}, {}),
}
"""By name: the graph network, changes of the training"""


class _Arrays(pickle.Unpickler):
    """Reads arrays and dictionaries, and runs nothing else that a file may name."""

    def find_class(self, module: str, name: str) -> Any:
        if module.split(".", maxsplit=1)[0] in ("numpy", "scipy", "collections"):
            return super().find_class(module, name)
        if (module, name) == ("__builtin__", "list"):
            return list
        raise pickle.UnpicklingError(f"{module}.{name} is no array")


def planetoid_tables(files: Path, name: str, folder: Path) -> None:
    """Papers with their words, label, the public split and a drawn one; citations, each once."""
    parts = {}
    for part in ("x", "tx", "ty", "allx", "ally", "graph"):
        with (files / f"ind.{name}.{part}").open("rb") as file:
            parts[part] = _Arrays(file, encoding="latin1").load()
    test = np.loadtxt(files / f"ind.{name}.test.index", dtype=np.int64)
    count, trained = max(max(parts["graph"]), int(test.max())) + 1, parts["x"].shape[0]
    words = sp.lil_matrix((count, parts["allx"].shape[1]))
    words[: parts["allx"].shape[0]], words[test] = parts["allx"], parts["tx"]
    one_hot = np.zeros((count, parts["ally"].shape[1]))
    one_hot[: len(parts["ally"])], one_hot[test] = parts["ally"], parts["ty"]
    public = np.full(count, None, dtype=object)
    public[:trained], public[trained : trained + 500], public[test] = "train", "valid", "test"
    drawn = np.random.default_rng(0).random(count)
    many = np.where(drawn < 0.6, "train", np.where(drawn < 0.8, "valid", "test"))
    ids = [f"p{number}" for number in range(count)]
    labels = [f"c{row.argmax()}" if row.any() else None for row in one_hot]
    lists = [[f"w{word}" for word in row.nonzero()[1]] for row in words.tocsr()]
    columns = {"id": ids, "words": lists, "label": labels, "few": pa.array(public, pa.string()), "many": many}
    pairs = sorted({(min(a, b), max(a, b)) for a, around in parts["graph"].items() for b in around if a != b})
    folder.mkdir(parents=True)
    pq.write_table(pa.table(columns), folder / "node.parquet")
    ends = {"source": [ids[a] for a, _ in pairs], "target": [ids[b] for _, b in pairs]}
    pq.write_table(pa.table(ends), folder / "link.parquet")


def one_type(folder: Path, features: Settings, label: str, split: str) -> Settings:
    """A pipeline of one node type and one edge type."""
    node = {"files": "node.parquet", "id": "id", "features": features}
    node["labels"] = {"label": {"column": label, "split": {"column": split}}}
    edge = {"source": "node", "relation": "link", "target": "node", "files": "link.parquet"}
    return {
        "output": str(folder / split),
        "graph": {"base": str(folder / "tables"), "nodes": {"node": node}, "edges": [edge], "report": False},
        "task": {"type": "node_classification", "node_type": "node", "label": "label"},
    }


def generated(folder: Path) -> Settings:
    """See module."""
    write_graph(folder / "tables", 0)
    features = {"x": {"columns": [f"x{number}" for number in range(WIDTH)], "normalize": "none"}}
    return one_type(folder, features, "kind", "split")


def shop(folder: Path) -> Settings:
    """See module."""
    pipeline = load_pipeline(SHOP, [f"output={folder / 'run'}", "graph.report=false"])
    data: Settings = json.loads(pipeline.model_dump_json(exclude_unset=True))
    del data["train"]
    return data


def papers(files: Path, name: str, split: str) -> Callable[[Path], Settings]:
    """See module."""

    def make(folder: Path) -> Settings:
        planetoid_tables(files, name, folder / "tables")
        words = {"words": {"column": "words", "encode": "multi_hot", "max_categories": 4096}}
        return one_type(folder, words, "label", split)

    return make


def accuracy(data: Settings, gnn: Settings, train: Settings, seed: int) -> float:
    """On validation, of the best epoch."""
    changed = {**data, "seed": seed, "model": {**data.get("model", {}), "gnn": gnn}, "train": train}
    pipeline = build_pipeline(changed).with_absolute_paths(Path.cwd())
    run_pipeline(pipeline, ["construct"], reporter=QUIET)
    with tempfile.TemporaryDirectory() as folder:
        best = Trainer(build_experiment(pipeline, QUIET), Path(folder), QUIET).train().best
    assert best is not None, "every epoch is validated"
    return best


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--planetoid", type=Path)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--settings", nargs="*", default=list(SETTINGS), choices=list(SETTINGS))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    graphs: dict[str, Callable[[Path], Settings]] = {"generated": generated, "shop": shop}
    for name in ("cora", "citeseer") if arguments.planetoid is not None else ():
        for split in ("few", "many"):
            graphs[f"{name}, {split}"] = papers(arguments.planetoid, name, split)
    with tempfile.TemporaryDirectory() as root:
        made = {name: make(Path(root) / name.replace(", ", "-")) for name, make in graphs.items()}
        print(f"| setting | {' | '.join(made)} | CPU s |\n|{'---|' * (2 + len(made))}", flush=True)
        for setting in arguments.settings:
            started, cells = time.process_time(), []
            for data in made.values():
                of_seeds = [accuracy(data, *SETTINGS[setting], seed) for seed in range(arguments.seeds)]
                cells.append(f"{np.mean(of_seeds):.3f}")
            print(f"| {setting} | {' | '.join(cells)} | {time.process_time() - started:.0f} |", flush=True)


if __name__ == "__main__":
    main()
