"""The 60-second run: classes and links of a small shop, from tables to scores, beside simple models.

    python training_scripts/shop/demo.py          # `make demo` installs first

Runs `gsl run` on classes.yaml and links.yaml (construct, train, evaluate, infer), the same without the graph network,
and prints the test scores. Results lie in training_scripts/shop/runs; a second run finds them up to date.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

from baselines import Scores, class_baselines, link_baselines

HERE = Path(__file__).parent
TEXT_ONLY = ("model.gnn={type: none, hidden: 128, dropout: 0.3}", "model.edge_inputs={}")
METRICS = ("accuracy", "macro_f1", "mrr", "hits@10")


def gsl_run(yaml: str, *overrides: str) -> Scores:
    """`gsl run` a pipeline of this folder, in a process of its own; its test scores."""
    command = ["-m", "graphstorm_like.cli.main", "run", str(HERE / yaml), *overrides]
    print("\n$ gsl", *command[2:], flush=True)
    done = subprocess.run([sys.executable, *command], check=False)
    if done.returncode != 0:
        raise SystemExit(done.returncode)
    given = [override.removeprefix("output=") for override in overrides if override.startswith("output=")]
    output = given[0] if given else f"runs/{Path(yaml).stem}"
    metrics = HERE / output / "evaluate" / "metrics.json"
    scores: Scores = json.loads(metrics.read_text(encoding="utf-8"))["test"]
    return scores


def text_only(name: str) -> Scores:
    """The same pipeline without messages: an MLP on the inputs of each node alone."""
    return gsl_run(f"{name}.yaml", *TEXT_ONLY, f"output=runs/{name}-text-only", f"graph.path=runs/{name}/graph")


def show(title: str, results: dict[str, Scores]) -> None:
    """Print test scores, a line a model."""
    names = [name for name in METRICS if name in next(iter(results.values()))]
    print(f"\n{title:<42}" + "".join(f"{name:>10}" for name in names))
    for model, scores in results.items():
        print(f"{model:<42}" + "".join(f"{scores[name]:>10.3f}" for name in names))


def main() -> None:
    started = time.monotonic()
    classes = gsl_run("classes.yaml")
    links = gsl_run("links.yaml")
    class_results = class_baselines(HERE / "runs/classes/graph")
    class_results |= {"MiniLM, no graph": text_only("classes"), "MiniLM + RGCN (classes.yaml)": classes}
    link_results = link_baselines(HERE / "runs/links/graph")
    link_results |= {"MiniLM, no graph": text_only("links"), "MiniLM + RGCN (links.yaml)": links}
    show("Category of a product, test", class_results)
    show("Product clicked after a search, test", link_results)
    print(f"\nEmbeddings and predictions: {HERE / 'runs/classes/infer'}, {HERE / 'runs/links/infer'}")
    print(f"{time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
