"""Kinds of indexes on generated vectors: build, memory, queries a CPU second, recall.

    python benchmarks/bench_search.py --vectors 200000 --width 128

Vectors lie around centres, as embeddings of classes do; queries are vectors of the same kind.
"""

from __future__ import annotations

import argparse
import resource
import time

import numpy as np

from graphstorm_like.search.kinds import INDEXES, Floats
from graphstorm_like.search.recall import found_share
from graphstorm_like.search.run import search_config
from graphstorm_like.search.vectors import normalised

KINDS = (
    ["type=exact"],
    ["type=ivf", "probes=4"],
    ["type=ivf"],
    ["type=hnsw", "search_effort=32"],
    ["type=hnsw"],
)


def clustered(count: int, width: int, seed: int) -> Floats:
    """Unit vectors [count, width] around 500 centres."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(0).normal(size=(500, width))
    drawn = centres[rng.integers(500, size=count)] + 0.7 * rng.normal(size=(count, width))
    return normalised(drawn.astype(np.float32))


def main() -> None:
    """Print a line a kind."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vectors", type=int, default=200_000)
    parser.add_argument("--queries", type=int, default=2_000)
    parser.add_argument("--width", type=int, default=128)
    options = parser.parse_args()
    vectors = clustered(options.vectors, options.width, 1)
    queries = clustered(options.queries, options.width, 2)
    print(f"{options.vectors:,} vectors and {options.queries:,} queries of {options.width} numbers, top 10")
    print(f"{'index':30} {'build CPU s':>12} {'queries a CPU s':>16} {'recall@10':>10} {'peak MB':>8}")
    true_rows = None
    for kind in KINDS:
        config = search_config(kind)
        index = INDEXES.of(config)(config, vectors)
        started = time.process_time()
        index.build()
        build = time.process_time() - started
        started = time.process_time()
        rows = index.search(queries, 10)[1]
        rate = len(queries) / (time.process_time() - started)
        true_rows = rows if true_rows is None else true_rows
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
        print(f"{' '.join(kind):30} {build:12.1f} {rate:16,.0f} {found_share(true_rows, rows):10.3f} {peak:8,.0f}")


if __name__ == "__main__":
    main()
