"""A small knowledge graph with known rules: tables/triples.parquet (head, relation, tail, split).

    python training_scripts/knowledge_graph/make_triples.py

Four rules, each among entities of its own. Every test triple follows from training triples by its rule, and can be
known in no other way:

    symmetry      (a married_to b) -> (b married_to a)
    antisymmetry  (a before b) -> (a precedes b), along chains: (b precedes a) is never true
    inversion     (a above b) -> (b below a), along chains
    composition   (a right b), (b down c) -> (a diagonal c), on a grid
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

HERE = Path(__file__).parent
Triple = tuple[str, str, str]
RULES = {
    "symmetry": ("married_to",),
    "antisymmetry": ("before", "precedes"),
    "inversion": ("above", "below"),
    "composition": ("right", "down", "diagonal"),
}
"""The relations of each rule; the last one has the triples that follow."""
TOLD, VALID = 0.6, 0.15
"""Shares of the triples that follow which are told in training, so that the rule can be learnt, and in validation."""


def symmetry(pairs: int) -> tuple[list[Triple], list[Triple]]:
    """(triples that are given, triples that follow): couples."""
    given = [(f"person-{2 * i}", "married_to", f"person-{2 * i + 1}") for i in range(pairs)]
    return given, [(tail, relation, head) for head, relation, tail in given]


def chains(name: str, count: int, length: int) -> Iterator[tuple[str, str]]:
    """Neighbours along chains."""
    for chain in range(count):
        for place in range(length - 1):
            yield f"{name}-{chain}-{place}", f"{name}-{chain}-{place + 1}"


def antisymmetry(count: int, length: int) -> tuple[list[Triple], list[Triple]]:
    """Days in a row, by two names of one relation."""
    pairs = list(chains("day", count, length))
    return [(a, "before", b) for a, b in pairs], [(a, "precedes", b) for a, b in pairs]


def inversion(count: int, length: int) -> tuple[list[Triple], list[Triple]]:
    """Floors of towers, named from above and from below."""
    pairs = list(chains("floor", count, length))
    return [(a, "above", b) for a, b in pairs], [(b, "below", a) for a, b in pairs]


def composition(side: int) -> tuple[list[Triple], list[Triple]]:
    """Squares of a board."""
    given: list[Triple] = []
    follows: list[Triple] = []
    for x in range(side):
        for y in range(side):
            here = f"square-{x}-{y}"
            if x + 1 < side:
                given.append((here, "right", f"square-{x + 1}-{y}"))
            if y + 1 < side:
                given.append((here, "down", f"square-{x}-{y + 1}"))
            if max(x, y) + 1 < side:
                follows.append((here, "diagonal", f"square-{x + 1}-{y + 1}"))
    return given, follows


def make_triples(size: int = 10, seed: int = 0) -> pa.Table:
    """All triples with their splits. size: length of chains and side of the board."""
    rng = np.random.default_rng(seed)
    worlds = (symmetry(6 * size), antisymmetry(size, size), inversion(size, size), composition(size))
    rows: list[tuple[str, str, str, str]] = []
    for given, follows in worlds:
        rows += [(*triple, "train") for triple in given]
        told, valid = int(TOLD * len(follows)), int((TOLD + VALID) * len(follows))
        for place, i in enumerate(rng.permutation(len(follows)).tolist()):
            split = "train" if place < told else "valid" if place < valid else "test"
            rows.append((*follows[i], split))
    heads, relations, tails, splits = zip(*rows, strict=True)
    return pa.table({"head": heads, "relation": relations, "tail": tails, "split": splits})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=10, help="length of chains and side of the board")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    (HERE / "tables").mkdir(exist_ok=True)
    table = make_triples(arguments.size, arguments.seed)
    pq.write_table(table, HERE / "tables" / "triples.parquet")
    print(f"{HERE / 'tables' / 'triples.parquet'}: {len(table):,} triples")


if __name__ == "__main__":
    main()
