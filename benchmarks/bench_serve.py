"""Texts a second, and waiting times, of `gsl serve` at growing load; beside plain sentence-transformers in FastAPI.

    python benchmarks/bench_serve.py MODEL GRAPH TABLE NODE_TYPE ID --cache CACHE     (MODEL: of gsl pack)

New nodes are rows of the training's TABLE under new ids, one a question, so that every question has a text to encode.
The peer embeds the same text column (--text) and knows no graph. Clients run in this process, and wait for answers.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np
import pyarrow.parquet as pq

PEER = """
import sys, uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from sentence_transformers import SentenceTransformer
model, app = SentenceTransformer(sys.argv[1], device="cpu"), FastAPI()

class Texts(BaseModel):
    texts: list[str]

@app.post("/embed")
def embed(body: Texts):
    return {"embeddings": model.encode(body.texts, show_progress_bar=False).tolist()}

@app.get("/health")
def health():
    return {}

uvicorn.run(app, port=int(sys.argv[2]), log_level="warning")
"""


def free_port() -> int:
    """A port that nobody has."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def running(command: list[str], port: int) -> Iterator[None]:
    """A server that answers /health."""
    process = subprocess.Popen(command)
    try:
        while True:
            assert process.poll() is None, command
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5)
                break
            except OSError:
                time.sleep(0.5)
        yield
    finally:
        process.terminate()
        process.wait(timeout=60)


def ask(port: int, path: str, body: dict[str, Any]) -> float:
    """Seconds until the answer."""
    data, headers = json.dumps(body).encode(), {"content-type": "application/json"}
    started = time.monotonic()
    with urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{port}{path}", data, headers), timeout=120):
        return time.monotonic() - started


def load(name: str, port: int, path: str, bodies: list[dict[str, Any]], clients: int) -> None:
    """Print a line: questions a second, p50 and p99."""
    started = time.monotonic()
    with ThreadPoolExecutor(clients) as pool:
        took = list(pool.map(lambda body: ask(port, path, body), bodies))
    rate = len(bodies) / (time.monotonic() - started)
    p50, p99 = 1e3 * np.percentile(took, [50, 99])
    print(f"{name:24} {clients:8} {rate:12.1f} {p50:10.0f} {p99:10.0f}", flush=True)


def main() -> None:
    """Run both, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("model", "graph", "table", "node_type", "id"):
        parser.add_argument(name)
    parser.add_argument("--cache")
    parser.add_argument("--text", default="title")
    parser.add_argument("--columns", nargs="*", default=["title", "price"])
    parser.add_argument("--questions", type=int, default=400)
    parser.add_argument("--clients", type=int, nargs="*", default=[1, 4, 16])
    parser.add_argument("--peer", help="A sentence-transformers model, to run it too.")
    options = parser.parse_args()
    rows = pq.read_table(options.table).slice(0, options.questions).to_pylist()
    print(f"{'server':24} {'clients':>8} {'questions/s':>12} {'p50 ms':>10} {'p99 ms':>10}")
    port = free_port()
    command = [sys.executable, "-m", "graphstorm_like.cli.main", "serve", options.model, "--graph", options.graph]
    command += ["--unknown", "mean", "--port", str(port), "--workers", str(len(os.sched_getaffinity(0)))]
    command += ["--cache", options.cache] if options.cache else []
    with running(command, port):
        for clients in options.clients:
            bodies = []
            for i, row in enumerate(rows):
                new = {name: row[name] for name in options.columns} | {options.id: f"new-{i}"}
                bodies.append({"nodes": {options.node_type: [new]}})
            load("gsl serve, new nodes", port, "/predict", bodies, clients)
        known = [{"ids": [row[options.id]]} for row in rows]
        load("gsl serve, known nodes", port, "/predict", known, options.clients[-1])
    if options.peer:
        port = free_port()
        with running([sys.executable, "-c", PEER, options.peer, str(port)], port):
            for clients in options.clients:
                texts = [{"texts": [row[options.text]]} for row in rows]
                load("sentence-transformers", port, "/embed", texts, clients)


if __name__ == "__main__":
    main()
