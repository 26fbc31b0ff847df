"""Is it worth training on one snapshot after another? With drift of the aspects and, as a control, without.

    python training_scripts/foreseer/compare_snapshots.py --seeds 0 1 2

For each drift and seed a market is generated; its last window is forecast by counting, and by the graph model trained
on all snapshots at once, on the last one alone, and on one after another. Macro AUPRC over the aspects that the window
has, of all products, of those with at most two earlier reviews (cold), and of the rarer half of the aspects. Means and
standard deviations over seeds.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import make_market
import numpy as np
import pyarrow.parquet as pq
from sklearn.metrics import average_precision_score

from graphstorm_like.config import load_pipeline
from graphstorm_like.launch.stages import run_pipeline
from graphstorm_like.progress import Reporter

HERE = Path(__file__).parent
MODELS: dict[str, list[str]] = {
    "all snapshots at once": ["task.snapshots=null"],
    "last snapshot alone": ["task.snapshots={width: 1, latest: 1}"],
    "one after another": [],
    "one after another, not balanced": ["task.class_weights=none"],
}
TEST = float(make_market.WINDOWS - 1)
Table = dict[str, np.ndarray]
"""Scores [rows, aspects] by method; `wanted` are the true ones."""


def read(folder: Path, name: str) -> list[dict[str, Any]]:
    """Rows of a table."""
    rows: list[dict[str, Any]] = pq.read_table(folder / f"{name}.parquet").to_pylist()
    return rows


def counts(folder: Path) -> tuple[list[str], Table, np.ndarray]:
    """(ids of the test rows, scores by counting, how many earlier reviews their products have)."""
    rows = [row for row in read(folder, "forecast") if row["at"] == TEST]
    at, owner = (
        {r["id"]: r["at"] for r in read(folder, "review")},
        {r["source"]: r["target"] for r in read(folder, "of")},
    )
    aspect = {f"a{i}": i for i in range(len(make_market.ASPECTS))}
    own: dict[str, np.ndarray] = {}
    past: dict[str, int] = {}
    for review, product in owner.items():
        past[product] = past.get(product, 0) + (at[review] < TEST)
    for pair in read(folder, "mentions"):
        if at[pair["source"]] < TEST:
            seen = own.setdefault(owner[pair["source"]], np.zeros(len(aspect)))
            # A review counts half as much with each window that has passed.
            seen[aspect[pair["target"]]] += 0.5 ** (TEST - at[pair["source"]])
    prior = sum(own.values()) / sum(seen.sum() for seen in own.values())
    near = {product: seen.copy() for product, seen in own.items()}
    for pair in read(folder, "similar"):
        for one, other in ((pair["source"], pair["target"]), (pair["target"], pair["source"])):
            if other in own:
                near[one] = near.get(one, np.zeros(len(aspect))) + own[other]
    wanted = np.zeros((len(rows), len(aspect)))
    for i, row in enumerate(rows):
        wanted[i, [aspect[name] for name in row["aspects"]]] = 1

    def scored(of: dict[str, np.ndarray]) -> np.ndarray:
        """Shares of the aspects, with the prior as two more mentions."""
        seen = np.stack([of.get(row["product"], np.zeros(len(aspect))) for row in rows])
        shares: np.ndarray = (seen + 2 * prior) / (seen.sum(1, keepdims=True) + 2)
        return shares

    table = {
        "wanted": wanted,
        "prior": scored({}),
        "own history": scored(own),
        "own and similar products'": scored(near),
    }
    return [row["id"] for row in rows], table, np.array([past.get(row["product"], 0) for row in rows])


def model_scores(tables: Path, output: Path, settings: list[str], ids: list[str]) -> np.ndarray:
    """Probabilities [rows, aspects] of a trained model."""
    places = {"graph.base": tables, "graph.path": tables / "graph", "cache": tables / "cache", "output": output}
    overrides = [f"{key}={place}" for key, place in places.items()]
    pipeline = load_pipeline(HERE / "forecast.yaml", [*overrides, *settings])
    run_pipeline(pipeline, ["construct", "train", "infer"], reporter=Reporter(quiet=True))
    predicted = pq.read_table(output / "infer" / "predictions")
    row_of = {name: i for i, name in enumerate(predicted["id"].to_pylist())}
    probabilities = predicted["probabilities"].combine_chunks()
    scores = np.zeros((len(ids), len(make_market.ASPECTS)))
    for field in probabilities.type:
        scores[:, int(field.name[1:])] = probabilities.field(field.name).to_numpy()[[row_of[name] for name in ids]]
    return scores


def auprc(wanted: np.ndarray, scores: np.ndarray, chosen: np.ndarray | None = None) -> float:
    """Mean over the aspects that some row has (chosen: of these aspects alone)."""
    there = np.flatnonzero(wanted.any(0)) if chosen is None else chosen[wanted[:, chosen].any(0)]
    return float(np.mean([average_precision_score(wanted[:, a], scores[:, a]) for a in there]))


def main() -> None:
    parser = argparse.ArgumentParser(description="One snapshot after another, beside all at once.")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--drifts", type=float, nargs="+", default=[0.4, 0.0])
    parser.add_argument("--products", type=int, default=300)
    parser.add_argument("--out", type=Path, default=HERE / "runs" / "compare")
    parser.add_argument("settings", nargs="*", help="KEY=VALUE for all models")
    options = parser.parse_args()
    for drift in options.drifts:
        found: dict[str, list[tuple[float, float, float]]] = {}
        for seed in options.seeds:
            folder = options.out / f"drift-{drift:g}-{seed}"
            make_market.make_market(folder, drift, options.products, seed)
            ids, table, past = counts(folder)
            for name, changes in MODELS.items():
                output = folder / name.replace(",", "").replace(" ", "-")
                table[name] = model_scores(folder, output, [*changes, f"seed={seed}", *options.settings], ids)
            wanted, cold = table.pop("wanted"), past <= 2
            rare = np.argsort(wanted.sum(0))[: len(make_market.ASPECTS) // 2]
            for name, scores in table.items():
                row = (auprc(wanted, scores), auprc(wanted[cold], scores[cold]), auprc(wanted, scores, rare))
                found.setdefault(name, []).append(row)
        print(f"\ndrift {drift:g}\n| | all | cold | rare |\n|---|---|---|---|")
        for name, rows in found.items():
            cells = [f"{m:.3f} ± {s:.3f}" for m, s in zip(np.mean(rows, 0), np.std(rows, 0), strict=True)]
            print(f"| {name} | {' | '.join(cells)} |", flush=True)
        (options.out / f"drift-{drift:g}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main()
