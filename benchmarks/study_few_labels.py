"""Twenty labels a class: settings of graph networks beside label propagation and logistic regression.

    python benchmarks/study_few_labels.py generated --seeds 3
    python benchmarks/study_few_labels.py sections --tables training_scripts/debian_packages/tables

generated   a graph without text: six classes, weak features, links that mostly stay within a class
sections    Debian packages (pipeline.yaml), all but 20 training labels a class taken away

No epoch is chosen: the model is that of the last one. Validation accuracy is printed too, by which to choose among
settings; the simple models of `gsl baseline` choose theirs by it.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from study_objectives import QUIET, Numbers, Study

from graphstorm_like.baselines.run import run_baselines
from graphstorm_like.config import build_pipeline, load_pipeline
from graphstorm_like.config.pipeline import Pipeline
from graphstorm_like.launch.stages import run_pipeline
from graphstorm_like.tasks import Evaluation
from graphstorm_like.training.experiment import build_experiment

LABELS = 20
SECTIONS = Path(__file__).parents[1] / "training_scripts" / "debian_packages" / "pipeline.yaml"
Change = dict[str, Any]


def scores_of(pipeline: Pipeline) -> Numbers:
    """Accuracies after the last epoch."""
    started = time.process_time()
    experiment = build_experiment(pipeline, QUIET)
    with tempfile.TemporaryDirectory() as folder:
        Study(experiment, Path(folder), QUIET).train()
        how = Evaluation("layer_wise", pipeline.train.fanouts, pipeline.seed)
        embedder = experiment.embedder()
        found = {split: experiment.task.evaluate(embedder, split, how)["accuracy"] for split in ("valid", "test")}
    return {**found, "CPU s": time.process_time() - started}


def simple_scores(pipeline: Pipeline) -> dict[str, Numbers]:
    """Accuracies of the simple models that apply."""
    found = {}
    for outcome in run_baselines(pipeline, QUIET).only.outcomes:
        if outcome.why_not is None:
            found[outcome.name] = {split: outcome.scores[split]["accuracy"] for split in ("valid", "test")}
    return found


def line(name: str, found: Sequence[Numbers]) -> None:
    """Print a row: means, and standard deviations of several seeds."""
    cells = []
    for key in ("valid", "test", "CPU s"):
        values = [of_seed[key] for of_seed in found if key in of_seed]
        spread = f" ± {np.std(values):.3f}" if len(values) > 1 and key != "CPU s" else ""
        cells.append(f"{np.mean(values):.{1 if key == 'CPU s' else 3}f}{spread}" if values else "")
    print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


# -------------------------------------------------------------------------------------------------- a generated graph

NODES, CLASSES, WIDTH = 2400, 6, 100
PLAIN: Change = {"type": "gcn", "layers": 2, "hidden": 64, "dropout": 0.2, "norm": "layer", "residual": True}
GENERATED: dict[str, tuple[Change, Change, float]] = {
    "no graph (none)": ({"type": "none"}, {}, 0.0),
    "no graph, dropout .6, inputs .3, weight decay 1": ({"type": "none", "dropout": 0.6}, {"weight_decay": 1.0}, 0.3),
    "gcn, the defaults": ({}, {}, 0.0),
    "gcn, norm none": ({"norm": "none"}, {}, 0.0),
    "gcn, residual false": ({"residual": False}, {}, 0.0),
    "gcn, norm none, residual false": ({"norm": "none", "residual": False}, {}, 0.0),
    "gcn, dropout .6": ({"dropout": 0.6}, {}, 0.0),
    "gcn, dropout .6, inputs .3": ({"dropout": 0.6}, {}, 0.3),
    "gcn, weight decay 1": ({}, {"weight_decay": 1.0}, 0.0),
    "gcn, all of it": ({"norm": "none", "residual": False, "dropout": 0.6}, {"weight_decay": 1.0}, 0.3),
    "gcn, all of it, norm layer": ({"residual": False, "dropout": 0.6}, {"weight_decay": 1.0}, 0.3),
    "gcn, residual false, dropout .6, inputs .3": ({"residual": False, "dropout": 0.6}, {}, 0.3),
    "gcn, residual false, three layers": ({"residual": False, "layers": 3}, {"fanouts": [-1, -1, -1]}, 0.0),
    "rgcn, the defaults": ({"type": "rgcn"}, {}, 0.0),
    "rgcn, residual false": ({"type": "rgcn", "residual": False}, {}, 0.0),
    "gatv2, the defaults": ({"type": "gatv2"}, {}, 0.0),
    "gatv2, residual false": ({"type": "gatv2", "residual": False}, {}, 0.0),
    "hops, the defaults": ({"type": "hops"}, {}, 0.0),
    "hops, dropout .6, inputs .3, weight decay 1": ({"type": "hops", "dropout": 0.6}, {"weight_decay": 1.0}, 0.3),
}
"""By name: changes of the graph network, changes of the training, dropout of inputs"""


def write_graph(folder: Path, seed: int) -> None:
    """Nodes with features and classes, 20 of each class for training, and links: four in five within a class."""
    rng = np.random.default_rng([seed, 20])
    kind = rng.integers(CLASSES, size=NODES)
    x = rng.normal(size=(NODES, WIDTH)) + 0.15 * rng.normal(size=(CLASSES, WIDTH))[kind]
    split = np.full(NODES, None, dtype=object)
    order = rng.permutation(NODES)
    for of_class in range(CLASSES):
        split[order[kind[order] == of_class][:LABELS]] = "train"
    others = order[split[order] == None]  # noqa: E711 - elementwise
    split[others[:500]], split[others[500:1500]] = "valid", "test"
    source, target = rng.integers(NODES, size=10 * NODES), rng.integers(NODES, size=10 * NODES)
    # Of random pairs one in six is of one class: with one in 20 of the others kept four in five links are.
    kept = np.flatnonzero((kind[source] == kind[target]) | (rng.random(len(source)) < 1 / 20))[: 2 * NODES]
    ids = np.array([f"n{number}" for number in range(NODES)])
    columns: dict[str, Any] = {"id": ids, "kind": np.array([f"c{value}" for value in kind]), "split": split}
    for number in range(WIDTH):
        columns[f"x{number}"] = x[:, number]
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), folder / "node.parquet")
    pq.write_table(pa.table({"source": ids[source[kept]], "target": ids[target[kept]]}), folder / "link.parquet")


def generated_pipeline(folder: Path, setting: tuple[Change, Change, float], seed: int) -> Pipeline:
    """The pipeline of a setting."""
    gnn, train, input_dropout = setting
    features = {"x": {"columns": [f"x{number}" for number in range(WIDTH)], "normalize": "none"}}
    labels = {"kind": {"column": "kind", "split": {"column": "split"}}}
    node = {"files": "node.parquet", "id": "id", "features": features, "labels": labels}
    edge = {"source": "node", "relation": "link", "target": "node", "files": "link.parquet"}
    edge |= {"source_id": "source", "target_id": "target"}
    steps = {"epochs": 100, "batch_size": 128, "fanouts": [-1, -1], "lr": 5e-3, "evaluate_every": None}
    data = {
        "output": str(folder / "run"),
        "seed": seed,
        "graph": {"base": str(folder / "tables"), "nodes": {"node": node}, "edges": [edge], "report": False},
        "model": {"gnn": {**PLAIN, **gnn}, "input_dropout": input_dropout},
        "task": {"type": "node_classification", "node_type": "node", "label": "kind"},
        "train": {**steps, "early_stop": None, **train},
    }
    return build_pipeline(data).with_absolute_paths(folder)


def generated(seeds: int) -> None:
    """Rows of the generated graph."""
    with tempfile.TemporaryDirectory() as name:
        folders = [Path(name) / str(seed) for seed in range(seeds)]
        simple = []
        for seed, folder in enumerate(folders):
            write_graph(folder / "tables", seed)
            pipeline = generated_pipeline(folder, GENERATED["gcn, the defaults"], seed)
            run_pipeline(pipeline, ["construct"], reporter=QUIET)
            simple.append(simple_scores(pipeline))
        for model in simple[0]:
            line(model, [of_seed[model] for of_seed in simple])
        for setting, changes in GENERATED.items():
            pipelines = [generated_pipeline(folder, changes, seed) for seed, folder in enumerate(folders)]
            line(setting, [scores_of(pipeline) for pipeline in pipelines])


# ------------------------------------------------------------------------------------------------------------ sections

TEXT_ONLY = "{type: none, hidden: 256, layers: 2, dropout: 0.6}"
HOPS = "{type: hops, reach: 2, hidden: 256, layers: 2, dropout: 0.6}"
RGCN = "{type: rgcn, hidden: 256, layers: 2, dropout: 0.6}"
FEATURES = (
    "{name_parts: {column: name, encode: multi_hot, separator: '-', max_categories: 256},"
    " words: {encode: words, columns: [short, long]}, names: {encode: words, column: name, of: characters}}"
)
WORDS = "model.inputs.package.features=[words, names]"
OF_SECTIONS: dict[str, list[str]] = {
    "text only": [f"model.gnn={TEXT_ONLY}"],
    "text only, one linear layer": ["model.gnn={type: none, hidden: 256, layers: 0}"],
    "hops": [f"model.gnn={HOPS}"],
    "hops, weight decay 1": [f"model.gnn={HOPS}", "train.weight_decay=1.0"],
    "hops, norm none, residual false": [
        "model.gnn={type: hops, reach: 2, hidden: 256, layers: 2, dropout: 0.6, norm: none, residual: false}"
    ],
    "hops, dropout .2, inputs 0": [
        "model.gnn={type: hops, reach: 2, hidden: 256, layers: 2, dropout: 0.2}",
        "model.input_dropout=0.0",
    ],
    "rgcn, no learnt vectors": [f"model.gnn={RGCN}", "model.inputs.maintainer.neighbors=true"],
    "text and words": [f"model.gnn={TEXT_ONLY}", WORDS],
    "text and words, one linear layer": ["model.gnn={type: none, hidden: 256, layers: 0}", WORDS],
    "rgcn with words": [f"model.gnn={RGCN}", WORDS],
    "gcn with words": ["model.gnn={type: gcn, hidden: 256, layers: 2, dropout: 0.6}", WORDS],
    "gcn": ["model.gnn={type: gcn, hidden: 256, layers: 2, dropout: 0.6}"],
}


def few_tables(tables: Path, folder: Path, seed: int) -> None:
    """The tables with a column `few_split`: 20 training packages a section, validation and test as they are."""
    folder.mkdir(parents=True)
    for path in tables.glob("*.parquet"):
        if path.name != "package.parquet":
            (folder / path.name).symlink_to(path.resolve())
    package = pq.read_table(tables / "package.parquet")
    label = np.array(package["section_label"].to_pylist(), dtype=object)
    split = np.array(package["section_split"].to_pylist(), dtype=object)
    order = np.random.default_rng([seed, 21]).permutation(np.flatnonzero(split == "train"))
    few = split.copy()
    few[order] = None
    for section in sorted(set(label[order])):
        few[order[label[order] == section][:LABELS]] = "train"
    pq.write_table(package.append_column("few_split", pa.array(few, pa.string())), folder / "package.parquet")


def of_sections(tables: Path, output: Path, settings: Sequence[str], baselines: bool, changes: Sequence[str]) -> None:
    """Rows of Debian's sections."""
    if not (output / "tables").exists():
        few_tables(tables, output / "tables", 0)
    overrides = [
        f"graph.base={output / 'tables'}",
        f"graph.path={output / 'graph'}",
        f"output={output / 'run'}",
        "graph.nodes.package.labels.section.split={column: few_split}",
        f"graph.nodes.package.features={FEATURES}",
        "model.inputs.package.embedding=false",
        "model.inputs.package.features=[name_parts]",
        "train={epochs: 60, batch_size: 256, fanouts: [10, 10], lr: 1e-3, evaluate_every: null, early_stop: null}",
        *changes,
    ]
    first = load_pipeline(SECTIONS, overrides)
    run_pipeline(first, ["construct"], reporter=QUIET)
    if baselines:
        for model, found in simple_scores(first).items():
            line(model, [found])
    for name in settings:
        line(name, [scores_of(load_pipeline(SECTIONS, [*overrides, *OF_SECTIONS[name]]))])


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", choices=("generated", "sections"))
    parser.add_argument("--seeds", type=int, default=3, help="of the generated graph")
    parser.add_argument("--tables", type=Path, default=SECTIONS.parent / "tables")
    parser.add_argument("--output", type=Path, default=Path("runs/few_labels"))
    parser.add_argument("--settings", nargs="*", default=list(OF_SECTIONS), choices=list(OF_SECTIONS))
    parser.add_argument("--no-baselines", action="store_true")
    parser.add_argument("--set", nargs="*", default=[], help="overrides of the sections' pipeline")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print("| model | valid accuracy | test accuracy | CPU s |\n|---|---|---|---|", flush=True)
    if arguments.study == "generated":
        generated(arguments.seeds)
        return
    output = arguments.output.resolve()
    of_sections(arguments.tables, output, arguments.settings, not arguments.no_baselines, arguments.set)


if __name__ == "__main__":
    main()
