"""One decoder after the other on a knowledge graph of known rules: which rule does each know?

    python training_scripts/knowledge_graph/compare.py --seeds 3

Makes the tables, trains each decoder and prints test hits@1 of the triples that follow from each
rule, mean of both ends; with several seeds (of the training and of which triples are told) the mean and standard
deviation, as a table of Markdown.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import make_triples
import numpy as np
import pyarrow.parquet as pq

from graphstorm_like.config import load_pipeline
from graphstorm_like.launch.stages import run_pipeline
from graphstorm_like.progress import Reporter

HERE = Path(__file__).parent
DECODERS: dict[str, tuple[str, float]] = {
    "DistMult": ("{type: distmult, normalize: false, start: random}", 3e-3),
    "ComplEx": ("{type: complex, normalize: false, start: random}", 3e-3),
    "ComplEx, no N3": ("{type: complex, normalize: false, start: random}", 0.0),
    "RotatE": ("{type: rotate, normalize: false}", 0.0),
    "RotatE, L2": ("{type: rotate, normalize: false, norm: l2}", 0.0),
    "TransE, L2": ("{type: transe, norm: l2}", 0.0),
    "TransE, L1": ("{type: transe, norm: l1}", 0.0),
    "bilinear": ("{type: bilinear, normalize: false}", 0.0),
    "MLP": ("{type: mlp}", 0.0),
    "two towers": ("{type: two_tower, normalize: false}", 0.0),
}
"""task.head and task.n3"""


def of_rules(test: Mapping[str, float], metric: str) -> dict[str, float]:
    """A metric by rule: of the relation whose triples follow, mean over both ends."""
    found = {}
    for rule, relations in make_triples.RULES.items():
        sides = (f"entity:{relations[-1]}:entity", f"entity:{relations[-1]}^-1:entity")
        found[rule] = sum(test[f"{metric}/{side}"] for side in sides) / 2
    return found


def run(folder: Path, name: str, settings: Sequence[str] = ()) -> dict[str, float]:
    """Train and evaluate a decoder on the tables of a folder; its test scores."""
    head, n3 = DECODERS[name]
    output = folder / "runs" / name.replace(", ", "-").replace(" ", "-").lower()
    overrides = [
        f"output={output}",
        f"graph.path={folder / 'runs' / 'graph'}",
        f"graph.base={folder / 'tables'}",
        f"task.head={head}",
        f"task.n3={n3}",
        *settings,
    ]
    run_pipeline(
        load_pipeline(HERE / "rules.yaml", overrides),
        ["construct", "train", "evaluate"],
        reporter=Reporter(quiet=True),
    )
    scores: dict[str, float] = json.loads((output / "evaluate" / "metrics.json").read_text(encoding="utf-8"))["test"]
    return scores


def of_seeds(name: str, seeds: int, metric: str, settings: Sequence[str]) -> list[str]:
    """A cell for each rule: the score, of several seeds the mean and the standard deviation."""
    found: dict[str, list[float]] = {rule: [] for rule in make_triples.RULES}
    for seed in range(seeds):
        folder = HERE if seeds == 1 else HERE / "runs" / f"seed-{seed}"
        (folder / "tables").mkdir(parents=True, exist_ok=True)
        pq.write_table(make_triples.make_triples(seed=seed), folder / "tables" / "triples.parquet")
        for rule, value in of_rules(run(folder, name, [f"seed={seed}", *settings]), metric).items():
            found[rule].append(value)
    cells = []
    for values in found.values():
        spread = f" ± {np.std(values):.3f}" if seeds > 1 else ""
        cells.append(f"{np.mean(values):.3f}{spread}")
    return cells


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--decoders", nargs="*", default=list(DECODERS), choices=list(DECODERS))
    parser.add_argument("--metric", default="hits@1")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("settings", nargs="*", help="overrides, e.g. train.epochs=100")
    arguments = parser.parse_args()
    print(f"| test {arguments.metric} | " + " | ".join(make_triples.RULES) + " |")
    print("|---" * (1 + len(make_triples.RULES)) + "|", flush=True)
    for name in arguments.decoders:
        cells = of_seeds(name, arguments.seeds, arguments.metric, arguments.settings)
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
