"""Vectors of a text column by many workers of a Ray cluster, with Ray Data. A recipe: copy it and change it.

    python inference/embed_ray.py 'tables/item-*.parquet' vectors/ --id id --text title --model ./minilm --workers 8

Writes Parquet with `id` and `embedding`, in no particular order. Tables and output must be at the same path on all
nodes. On a GPU each: --gpus 1. To compute on this machine alone: --address local.
"""

from __future__ import annotations

import argparse
import glob
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import ray
import torch


class Embedder:
    """An actor: holds the language model, and is called with one batch of rows after the other."""

    def __init__(self, settings: dict[str, Any], device: str) -> None:
        # Not at the top: Ray pickles this class with the globals that it names, and a registry holds a lock.
        from graphstorm_like.config.text_encoders import HuggingFaceConfig
        from graphstorm_like.text.encoders import TEXT_ENCODERS

        config = HuggingFaceConfig(**settings)
        self.encoder = TEXT_ENCODERS.of(config)(config, torch.device(device))

    def __call__(self, batch: pa.Table) -> pa.Table:
        """id, text -> id, embedding (float32, as `gsl infer` writes it)."""
        texts = batch.column("text").combine_chunks().cast(pa.string())
        vectors = self.encoder.vectors(texts).astype("float32")
        flat = pa.array(vectors.reshape(-1))
        return pa.table(
            {"id": batch.column("id"), "embedding": pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1])}
        )


def arguments() -> argparse.Namespace:
    """Of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", help="Parquet files; * and ? are allowed")
    parser.add_argument("out", type=Path, help="new folder")
    parser.add_argument("--id", required=True, help="column of ids")
    parser.add_argument("--text", required=True, help="column of texts")
    parser.add_argument("--model", required=True, help="as model.text_encoder.name of a pipeline")
    parser.add_argument("--max-tokens", type=int, default=128)
    parser.add_argument("--dtype", default="auto", choices=("auto", "float32", "bfloat16"))
    parser.add_argument("--workers", type=int, default=2, help="actors, each with the model")
    parser.add_argument("--cpus", type=float, default=1.0, help="of an actor")
    parser.add_argument("--gpus", type=float, default=0.0, help="of an actor")
    parser.add_argument("--batch", type=int, default=4096, help="texts a call")
    parser.add_argument("--address", default="auto", help="of the cluster; local: this machine")
    return parser.parse_args()


def main() -> None:
    """See module."""
    asked = arguments()
    files = sorted(glob.glob(asked.tables))
    if not files:
        raise SystemExit(f"tables: must name Parquet files (got '{asked.tables}', which names none)")
    if asked.out.exists():
        raise SystemExit(f"out: must be a new folder (got '{asked.out}', which exists). Remove it, or choose another")
    model = str(Path(asked.model).expanduser().absolute()) if asked.model.startswith((".", "~")) else asked.model
    settings = {"name": model, "max_tokens": asked.max_tokens, "dtype": asked.dtype, "workers": 1}
    ray.init(address=None if asked.address == "local" else asked.address, include_dashboard=False)
    rows = ray.data.read_parquet([str(Path(file).absolute()) for file in files], columns=[asked.id, asked.text])
    vectors = rows.rename_columns({asked.id: "id", asked.text: "text"}).map_batches(
        Embedder,
        fn_constructor_args=(settings, "cuda" if asked.gpus else "cpu"),
        compute=ray.data.ActorPoolStrategy(size=asked.workers),
        batch_size=asked.batch,
        batch_format="pyarrow",
        num_cpus=asked.cpus,
        num_gpus=asked.gpus,
    )
    part = asked.out.with_name(f"{asked.out.name}.part").absolute()
    if part.exists():
        raise SystemExit(f"{part}: must not exist: an earlier call left it. Remove it")
    vectors.write_parquet(str(part))
    part.rename(asked.out)  # so that a folder of this name is whole
    print(f"{asked.out}: {sum(1 for _ in asked.out.glob('*.parquet'))} files", file=sys.stderr)


if __name__ == "__main__":
    main()
