"""The measured processes of the text part: ours (embeds), and the peer's reader of its own vectors.

Started by bench_peer.py with this interpreter (ours TEXTS.parquet OUT.npy OPTIONS) and with the peer's (peer
GRAPH_FOLDER OUT.npy).
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq


def ours(texts: str, out: str, job: str) -> None:
    """Vectors of the column `text` [N, D] float16, in the order of the rows. Without `cache` nothing is reused."""
    import torch

    from graphstorm_like.text.embed import embed_all
    from graphstorm_like.text.encoder import TextEncoder
    from graphstorm_like.text.tokens import build_token_store

    options = json.loads(job)
    torch.set_num_threads(options.pop("threads"))
    cache = options.pop("cache", None)
    encoder = TextEncoder.load(options.pop("name"), **options)
    column = pq.read_table(texts, columns=["text"]).column("text")
    with tempfile.TemporaryDirectory() as scratch:
        store = build_token_store(column, encoder.tokenizer, cache or scratch, encoder.max_tokens)
        np.save(out, embed_all(encoder, store, cache or scratch).gather(np.arange(len(column))))


def peer(graph: str, out: str) -> None:
    """Vectors of packages that GraphStorm's construction computed, in the order of its input files."""
    import torch
    from dgl.data.utils import load_tensors

    vectors = load_tensors(str(Path(graph) / "part0" / "node_feat.dgl"))["package/vector"].numpy()
    # One partition keeps the order of the input.
    order = torch.load(Path(graph) / "node_mapping.pt")["package"].numpy()
    if not np.array_equal(order, np.arange(len(vectors))):
        sys.exit(f"{graph}: packages must be in the order of the input files (they are not). Use --num-parts 1")
    np.save(out, vectors)


if __name__ == "__main__":
    if sys.argv[1] == "ours":
        ours(*sys.argv[2:])
    else:
        peer(*sys.argv[2:])
