"""A generated market of products, reviews, aspects and similar products over seven windows of time.

    python training_scripts/foreseer/make_market.py --drift 0.4 --out training_scripts/foreseer/tables

A product belongs to one of 8 hidden categories. Each category has a profile, how often its reviews speak of each of 30
aspects, with Zipf weights; from a window to the next a share `drift` of it is drawn anew (0: it stays as it is). A
review holds words of its category, of its aspects and noise. Products are born over time; 85 % of similar products are
of one category. Time is counted in windows: what happens in window w has a time in [w, w + 1).

`forecast` has a row for each product and window t with reviews in it: its time is t, and its label is the aspects that
these reviews speak of. All that a forecast may read is earlier.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

WINDOWS = 7
ASPECTS = (
    "battery life", "screen brightness", "customer service", "delivery time", "sound quality", "build quality",
    "easy assembly", "strange smell", "bright colour", "soft fabric", "wrong size", "low price", "loud noise",
    "water resistance", "sharp edges", "missing parts", "user manual", "heavy weight", "gift wrapping", "zip broke",
    "camera focus", "fast charging", "sweet taste", "skin irritation", "loose handle", "wireless connection",
    "software update", "warranty claim", "energy use", "fresh ingredients",
)  # fmt: skip
CATEGORIES = (
    "phone tablet display", "sofa chair table", "jacket trousers shirt", "oven kettle toaster", "drill hammer saw",
    "shampoo lotion soap", "puzzle doll train", "coffee biscuit honey",
)  # fmt: skip
NOISE = (
    "really", "bought", "week", "friend", "again", "maybe", "morning", "expected", "thing", "family", "shop", "nice",
    "bad", "good", "never", "always", "people", "used", "month", "found",
)  # fmt: skip


def profiles(rng: np.random.Generator, drift: float) -> np.ndarray:
    """[WINDOWS, CATEGORIES, ASPECTS]: sums to 1 over aspects. Each category speaks of few aspects."""
    zipf = 1.0 / np.arange(1, len(ASPECTS) + 1) ** 0.7

    def drawn() -> np.ndarray:
        weights = rng.gamma(0.15, size=(len(CATEGORIES), len(ASPECTS))) * zipf
        share: np.ndarray = weights / weights.sum(1, keepdims=True)
        return share

    found = [drawn()]
    for _ in range(WINDOWS - 1):
        new = drawn()  # drawn without drift too, so that all else is the same
        found.append((1.0 - drift) * found[-1] + drift * new)
    return np.stack(found)


def make_market(folder: Path, drift: float, products: int = 300, seed: int = 0) -> None:
    """Write product, aspect, review, of, mentions, similar and forecast as Parquet files into `folder`."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    category = rng.integers(len(CATEGORIES), size=products)
    born = np.where(rng.random(products) < 0.4, 0, rng.integers(0, WINDOWS, size=products))
    share = profiles(np.random.default_rng([seed, 1]), drift)
    reviews: list[tuple[str, str, float, str, list[int]]] = []
    for product in range(products):
        for window in range(born[product], WINDOWS):
            for _ in range(rng.poisson(1.5)):
                told = rng.choice(len(ASPECTS), size=2, p=share[window, category[product]])
                words = [rng.choice(CATEGORIES[category[product]].split()), *rng.choice(NOISE, 3)]
                words += [ASPECTS[a] for a in sorted(set(told.tolist()))]
                at = window + rng.random()
                text = " ".join(rng.permutation(words))
                reviews.append((f"r{len(reviews)}", f"p{product}", at, text, sorted(set(told.tolist()))))

    def write(name: str, **columns: Sequence[object]) -> None:
        pq.write_table(pa.table(columns), folder / f"{name}.parquet")

    ids, owners, times, texts, told_of = map(list, zip(*reviews, strict=True))
    write("product", id=[f"p{i}" for i in range(products)], born=born.astype(float).tolist())
    write("aspect", id=[f"a{i}" for i in range(len(ASPECTS))], text=ASPECTS)
    write("review", id=ids, at=times, text=texts)
    write("of", source=ids, target=owners)
    pairs = [(r, f"a{a}") for r, told in zip(ids, told_of, strict=True) for a in told]
    write("mentions", source=[r for r, _ in pairs], target=[a for _, a in pairs])
    near = [(a, rng.choice(np.flatnonzero(category == category[a]))) for a in range(products) for _ in range(4)]
    similar = [(a, b if rng.random() < 0.85 else rng.integers(products)) for a, b in near]
    similar = [(a, int(b)) for a, b in similar if a != b]
    write("similar", source=[f"p{a}" for a, _ in similar], target=[f"p{b}" for _, b in similar])
    wanted: dict[tuple[str, int], set[str]] = {}
    for _, product_id, at, _, told_now in reviews:
        if at >= 1:
            wanted.setdefault((product_id, int(at)), set()).update(f"a{a}" for a in told_now)
    rows = [(f"{p}@{t}", p, float(t), sorted(names)) for (p, t), names in sorted(wanted.items())]
    keys, of_rows, at_rows, labels = map(list, zip(*rows, strict=True))
    write("forecast", id=keys, product=of_rows, at=at_rows, aspects=labels)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Generate the tables of the recipe.")
    parser.add_argument("--drift", type=float, default=0.4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--products", type=int, default=300)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "tables")
    options = parser.parse_args()
    make_market(options.out, options.drift, options.products, options.seed)
