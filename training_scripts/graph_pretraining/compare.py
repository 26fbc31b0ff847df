"""What pre-training on a graph is worth: four language models, each on an application with another schema.

    python training_scripts/graph_pretraining/application_tables.py
    python training_scripts/graph_pretraining/compare.py --seeds 0 1 2

MiniLM as it comes; after masked language modelling on the corpus; after link prediction on it without a graph network
(GALM); after that and co-training with a warmed-up one. Then: sections of programs from text alone, on the application
graph, on the stitched one, and with the language model tuned on the few labels first; and what a program recommends, on
both graphs. Validation selects; test is scored once a run. What is up to date is not run again: co-training goes on
from GALM's language model, and its CPU seconds come on top.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

HERE = Path(__file__).parent
RUNS = HERE / "runs"
ORIGINAL = "MiniLM as it comes"
PRE_TRAINING = {
    "masked language modelling": ["train.lm.mlm={task_weight: 0.0}"],
    "GALM": [],
    "GALM, co-trained": [
        "train.strategy=staged",
        "train.phases=[{name: lm, type: lm}, {name: gnn, type: gnn, epochs: 2}, "
        "{name: both, type: joint, epochs: 1, lm_lr: 2e-5, lr: 3e-4, lm_tokens: 16384}]",
        "train.batch_size=512",
    ],
}
SECTION = "accuracy", "macro_f1"
LINKS = [
    "task={type: link_prediction, edge_type: 'program:recommends:program', head: {type: dot, directed: true}, "
    "loss: {type: info_nce, temperature: 0.07}, negatives: {in_batch: false, uniform: 2048}, "
    "ranking: {candidates: all}}",
    "infer.embeddings=[program]",
]
TUNED = [
    "train.strategy=staged",
    *(f"train.lm.{setting}" for setting in ("epochs=6", "batch_size=32", "lr=1e-4", "dropout=0.0")),
]
USES: dict[str, tuple[str, list[str], Sequence[str]]] = {
    "text": ("application.yaml", ["model.gnn.type=none"], SECTION),
    "graph": ("application.yaml", [], SECTION),
    "stitched": ("stitched.yaml", [], SECTION),
    "tuned": ("application.yaml", TUNED, SECTION),
    "recommends": ("application.yaml", LINKS, ("mrr", "hits@10")),
    "recommends stitched": ("stitched.yaml", LINKS, ("mrr", "hits@10")),
}


def gsl(*arguments: str) -> float:
    """Run gsl; CPU seconds."""
    child = subprocess.Popen([sys.executable, "-m", "graphstorm_like.cli.main", *arguments])
    _, status, usage = os.wait4(child.pid, 0)
    if status:
        sys.exit(f"gsl {' '.join(arguments)}: ended with status {status}")
    return usage.ru_utime + usage.ru_stime


def slug(name: str) -> str:
    """A name as a folder's."""
    return name.replace(",", "").replace(" ", "-").lower()


def language_models(wanted: Sequence[str]) -> dict[str, Path | None]:
    """Folders of the language models by name, pre-trained where they are not yet."""
    found: dict[str, Path | None] = {ORIGINAL: None}
    for name in wanted:
        if name == ORIGINAL:
            continue
        output = RUNS / slug(name)
        if not (output / "evaluate" / "done.json").is_file():
            settings = [str(HERE / "corpus.yaml"), *PRE_TRAINING[name], f"output={output}", "--quiet"]
            gsl("construct", *settings)
            cpu = gsl("train", *settings)
            (output / "cost.json").write_text(json.dumps({"cpu": cpu}), encoding="utf-8")
            gsl("evaluate", *settings)
        cpu = json.loads((output / "cost.json").read_text(encoding="utf-8"))["cpu"]
        mrr = scores(output)["valid"]["mrr"]
        print(f"{name}: {cpu:,.0f} CPU s, validation MRR {mrr:.3f} among 200 candidates", flush=True)
        found[name] = output / "train" / "best" / "lm" / "shared"
    return {name: found[name] for name in wanted}


def scores(output: Path) -> Mapping[str, Mapping[str, float]]:
    """What `gsl evaluate` wrote."""
    found: dict[str, dict[str, float]] = json.loads((output / "evaluate" / "metrics.json").read_text(encoding="utf-8"))
    return found


def measured(use: str, name: str, folder: Path | None, seeds: Sequence[int]) -> str:
    """Means over seeds of the test scores of one use of a language model, as a cell of the table."""
    yaml, changes, metrics = USES[use]
    rows = []
    for seed in seeds:
        output = RUNS / "compare" / f"{slug(name)}-{slug(use)}-{seed}"
        if not (output / "evaluate" / "done.json").is_file():
            model = [] if folder is None else [f"model.text_encoder.name={folder}"]
            gsl("run", str(HERE / yaml), *model, *changes, f"seed={seed}", f"output={output}", "--quiet")
        rows.append([scores(output)["test"][metric] for metric in metrics])
    return " / ".join(f"{sum(column) / len(column):.3f}" for column in zip(*rows, strict=True))


def main() -> None:
    names = [ORIGINAL, *PRE_TRAINING]
    parser = argparse.ArgumentParser(description="What pre-training on a graph is worth on another one.")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--uses", nargs="+", choices=list(USES), default=list(USES))
    parser.add_argument("--models", nargs="+", choices=names, default=names)
    options = parser.parse_args()
    folders = language_models(options.models)
    gsl("construct", str(HERE / "corpus.yaml"), "--quiet")
    gsl("construct", str(HERE / "application.yaml"), "--quiet")
    gsl("stitch", str(HERE / "stitch.yaml"))
    heads = [f"{use}: {' / '.join(USES[use][2])}" for use in options.uses]
    print(f"| language model | {' | '.join(heads)} |\n|{'---|' * (len(heads) + 1)}")
    for name, folder in folders.items():
        cells = [measured(use, name, folder, options.seeds) for use in options.uses]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
