"""One and several hosts and trainers of GraphStorm 0.5.1 and of this library, on the same work, on this machine.

    python benchmarks/bench_distributed.py peer:1x1 peer:2x1 ours:1x1 ours:1x2 ours:2x2 dgl:2x2

A case is <side>:<hosts>x<trainers a host>; more hosts than one are simulated, each with a METIS partition; dgl is ours
with launch.store: dgl. Both sides train sections of packages on the same float32 inputs (MiniLM vectors and the size),
splits, RGCN and batches (1,024 rows of all trainers together). Prints a table; inputs, logs and numbers stay in
--output. Needs build_tables.py's tables, and peer:2x... needs root.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import bench_peer
import numpy as np
import peer_graph
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from measure import table
from peer_environment import PeerError, environment, peer_python
from peer_hosts import Hosts, simulated_hosts
from peer_measure import Epoch, Run, measure, our_epochs, peer_epochs

from graphstorm_like.errors import GslError

HEAD = ["", "construct s", "cpu s", "start-up s", "cpu s", "epoch s", "cpu s", "evaluate cpu s", "run s", "cpu s"]
HEAD += ["peak MB", "valid", "test"]


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="GraphStorm beside this library over hosts and trainers.")
    help_of_cases = "ours:1x1 dgl:2x1 peer:2x1 ...: side, hosts, trainers a host"
    parser.add_argument("cases", nargs="+", type=case, help=help_of_cases)
    parser.add_argument("--tables", type=Path, default=bench_peer.DEBIAN / "tables", help="folder of build_tables.py")
    parser.add_argument("--output", type=Path, default=bench_peer.DEBIAN / "runs" / "distributed", help="inputs, logs")
    parser.add_argument("--peer-venv", type=Path, default=bench_peer.DEBIAN / "runs" / ".venv-peer")
    parser.add_argument(
        "--cache", type=Path, default=bench_peer.DEBIAN / "runs" / "cache", help="text vectors stay here"
    )
    parser.add_argument("--epochs", type=int, default=4, help="the first is not counted")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of all trainers together (default: cores)")
    parser.add_argument("--packages", type=int, help="how many, by hash of their names (default: all)")
    parser.add_argument("--tokens", type=int, default=128, help="of a text, at most")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="of our runs, one after the other")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="more settings of our runs")
    parser.add_argument("--timeout", type=float, default=3600.0, help="seconds that one command may take")
    return parser.parse_args(arguments)


def case(text: str) -> tuple[str, int, int]:
    """'ours:2x1' -> ('ours', 2, 1)"""
    side, _, shape = text.partition(":")
    hosts, _, trainers = shape.partition("x")
    known = side in ("ours", "peer", "dgl") and hosts.isdigit() and trainers.isdigit()
    if not known or int(hosts) * int(trainers) == 0 or (side == "dgl" and hosts == "1"):
        raise argparse.ArgumentTypeError(
            f"must be like ours:2x1, peer:1x1, or dgl:2x1 with more hosts than one (got '{text}')"
        )
    return side, int(hosts), int(trainers)


def inputs(options: argparse.Namespace, tables: peer_graph.Tables) -> np.ndarray:
    """[packages, width + 1] float32: text vectors, and the size in standard deviations of its logarithm."""
    file = options.output / "vectors.npy"
    if not file.exists():
        job = {"pooling": "mean", "max_tokens": options.tokens, "cache": str(options.cache)}
        bench_peer._our_embed(options, options.output, tables, **job)
    size = pq.read_table(options.tables / "package.parquet", columns=["log_installed_size"])[0].to_numpy()
    size = np.nan_to_num((size - np.nanmean(size)) / np.nanstd(size))
    return np.concatenate([np.load(file), size[:, None]], axis=1, dtype=np.float32, casting="unsafe")


def our_pipeline(folder: Path, tables: peer_graph.Tables, vectors: np.ndarray, epochs: int) -> Path:
    """Tables and YAML, with the vectors as a feature of numbers; returns the YAML."""
    path = peer_graph.write_ours(folder, tables, bench_peer.MODEL, 64, epochs)
    column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1])
    packages = tables["package"].append_column("vector", column.cast(pa.list_(pa.float32())))
    pq.write_table(packages, folder / "tables" / "package.parquet")
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    package = document["graph"]["nodes"]["package"]
    del package["text"], document["model"]["text_encoder"]
    package["features"] = {"vector": {"column": "vector", "normalize": "none"}}
    path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    return path


def ours(
    options: argparse.Namespace, pipeline: Path, side: str, hosts: int, trainers: int, seed: int
) -> bench_peer.Result:
    """Construct, train, evaluate; the second and third over the hosts."""
    folder = bench_peer._fresh(pipeline.parent / f"{side}-{hosts}x{trainers}")  # or all would be up to date
    changes = [f"output={folder}", f"graph.partitions={{count: {hosts}, method: metis}}"]
    threads = max(options.threads // (hosts * trainers), 1)
    launch = [f"launch.threads={threads}", f"seed={seed}", *options.set]
    if hosts * trainers > 1:
        launch += [f"launch.hosts={hosts}", f"launch.trainers={trainers}"]
    if side == "dgl":
        launch += ["launch.store=dgl", "launch.dgl.trusted_network=true"]

    def gsl(verb: str, *more: str) -> Run:
        command = [sys.executable, "-m", "graphstorm_like.cli.main", verb, str(pipeline), *changes, *more]
        watched = [folder / "train" / "metrics.jsonl"]
        return measure(
            command,
            folder.parent / f"{folder.name}-{verb}.log",
            options.timeout,
            bench_peer._our_environment(),
            watched,
        )

    construct, train = gsl("construct"), gsl("train", *launch)
    gsl("evaluate", *launch)
    scores = json.loads((folder / "evaluate" / "metrics.json").read_text(encoding="utf-8"))
    return bench_peer.Result(construct, train, our_epochs(train), scores["test"]["accuracy"], [*changes, *launch])


def peer(options: argparse.Namespace, config: Path, classes: int, hosts: int, trainers: int) -> bench_peer.Result:
    """Construct, and train with its best flags; it scores validation and test after each epoch."""
    folder, name = config.parent, f"peer-{hosts}x{trainers}"
    python = str(peer_python(options.peer_venv))
    graph = folder / f"graph-{hosts}"
    command = [python, "-m", "graphstorm.gconstruct.construct_graph", "--conf-file", str(config)]
    command += ["--output-dir", str(graph), "--num-parts", str(hosts), "--part-method", "metis", "--graph-name", "deb"]
    command += ["--add-reverse-edges", "--use-graphbolt", "true", "--num-processes", "2"]
    log = folder.parent / f"{name}-construct.log"
    construct = measure(command, log, options.timeout, environment(OMP_NUM_THREADS="1"))
    # Its batch size is a trainer's, ours that of all: the same steps for both.
    batch = {"batch_size": peer_graph.BATCH // (hosts * trainers)}
    settings = peer_graph.peer_train(classes, options.epochs, None, best=True, more=batch)
    yaml_file = folder / f"{name}.yaml"
    yaml_file.write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")
    with simulated_hosts(folder / "hosts") if hosts > 1 else nullcontext() as where:
        command = [python, "-m", "graphstorm.run.gs_node_classification"]
        command += ["--part-config", str(graph / "deb.json"), "--cf", str(yaml_file), "--use-graphbolt", "true"]
        command += ["--num-trainers", str(trainers), "--num-servers", "1", "--num-samplers", "0"]
        command += ["--num-omp-threads", str(max(options.threads // (hosts * trainers), 1))]
        more: dict[str, str] = {}
        if isinstance(where, Hosts):
            addresses = folder / "ip_list.txt"
            addresses.write_text("".join(f"{ip}\n" for ip in where.addresses), encoding="ascii")
            command = [*where.enter, *command, "--ip-config", str(addresses)]
            more = where.environment
        train = measure(command, folder.parent / f"{name}.log", options.timeout, environment(**more))
    epochs = peer_epochs(train)
    return bench_peer.Result(construct, train, epochs, epochs[-1].test, settings)


def row(name: str, result: bench_peer.Result) -> list[str]:
    """One line of the table. Epochs: the mean of all but the first."""
    run, first = result.train, result.epochs[0]
    later = result.epochs[1:] or result.epochs

    def mean(what: str) -> str:
        return f"{statistics.mean(getattr(epoch, what) for epoch in later):.1f}"

    start = first.start, run.cpu_between(0, first.start)
    numbers = [result.construct.seconds, result.construct.cpu, *start]
    scores = [f"{x:.4f}" if x is not None else "" for x in (later[-1].valid, result.test)]
    whole = [f"{run.seconds:.1f}", f"{run.cpu:.1f}", f"{run.peak_mb:,.0f}"]
    return [name, *(f"{x:.1f}" for x in numbers), mean("seconds"), mean("cpu"), mean("eval_cpu"), *whole, *scores]


def run_cases(options: argparse.Namespace) -> list[str]:
    """Lines of the table, each printed when it is known."""
    names = _names(options)
    tables = peer_graph.restrict(peer_graph.read_tables(options.tables), names)
    options.output.mkdir(parents=True, exist_ok=True)
    vectors = inputs(options, tables)
    if options.packages is not None:
        chosen = set(peer_graph.choose_packages(names, options.packages))
        vectors = vectors[[name in chosen for name in names]]
        tables = peer_graph.restrict(tables, chosen)
    rows = []
    pipeline: Path | None = None
    config: Path | None = None
    for side, hosts, trainers in options.cases:
        for seed in options.seeds if side != "peer" else [0]:
            name = f"{side}, {hosts} x {trainers}" + (f", seed {seed}" if len(options.seeds) > 1 else "")
            if side != "peer":
                pipeline = pipeline or our_pipeline(options.output / "ours", tables, vectors, options.epochs)
                result = ours(options, pipeline, side, hosts, trainers, seed)
            else:
                config = config or peer_graph.write_peer(options.output / "peer", tables, {"name": "no-op"}, vectors)
                result = peer(options, config, len(peer_graph.classes(tables["package"])), hosts, trainers)
            rows.append(row(name, result))
            print("  ".join(rows[-1]), flush=True)
            facts: dict[str, Any] = {"settings": result.settings, "epochs": [_plain(e) for e in result.epochs]}
            file = options.output / f"{side}-{hosts}x{trainers}-{seed}.json"
            file.write_text(json.dumps(facts, indent=2), encoding="utf-8")
    note = (
        "hosts x trainers. start-up: to the first step. Epoch: mean of all but the first. evaluate: after an epoch, "
        "the peer scores validation and test, ours validation. run: the training command. peak: all processes "
        "together, shared pages once."
    )
    return [*table(HEAD, rows), note]


def _names(options: argparse.Namespace) -> list[str]:
    names: list[str] = pq.read_table(options.tables / "package.parquet", columns=["name"])[0].to_pylist()
    return names


def _plain(epoch: Epoch) -> dict[str, Any]:
    return {name: getattr(epoch, name) for name in Epoch.__slots__}


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse_arguments(arguments)
    options.output = options.output.absolute()
    try:
        if any(c.isspace() for c in str(options.output)):
            raise PeerError(f"--output: must be a path without blanks, the peer cuts it there (got '{options.output}')")
        if not (options.tables / "package.parquet").is_file():
            raise PeerError(f"--tables: must hold package.parquet (got '{options.tables}'). Run build_tables.py")
        lines = run_cases(options)
        (options.output / "result.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
        print("\n" + "\n".join(lines), flush=True)
    except (PeerError, GslError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main())
