"""What sampled training over partitions costs, as arithmetic: messages, bytes, CPU seconds, memory, epochs.

In: what a batch is (counts a layer), how many partitions, what a count costs (fitted to `bench_sampling.py`). Out:
costs of one trainer's batch, of a host, of an epoch. docs/benchmarks/scaling.md derives the formulas and checks them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from measure import table

from graphstorm_like.graph.sample import DENSE_NODES

Pair: TypeAlias = tuple[float, float]
ID = 4
"""Bytes of an id on the wire, below 2^32: smaller ones travel in 1 or 2, which `fit` puts down to the headers."""
ASKED_BYTES, FOUND_BYTES, EDGE_BYTES = ID, ID + 1, 2 * ID
"""A node whose edges are asked for; one that has edges of a type (row, how many); an edge (source, id)."""
KEPT_ID, LABEL, SPLIT = 8, 4, 1
"""Bytes in memory of an id, a label, the number of a split."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer of a batch, or the part of it that other hosts answer.

    asked: target nodes whose edges are wanted; found: pairs of (target node, edge type) that have any; edges: sampled
    ones.
    """

    asked: float
    found: float
    edges: float

    def __mul__(self, factor: float) -> Layer:
        return Layer(self.asked * factor, self.found * factor, self.edges * factor)

    @property
    def wire_bytes(self) -> float:
        """Of arrays, both ways, if all of it is asked of other hosts."""
        return ASKED_BYTES * self.asked + FOUND_BYTES * self.found + EDGE_BYTES * self.edges


@dataclass(frozen=True, slots=True)
class Batch:
    """layers: from the seeds outwards; inputs: nodes whose rows are read; reads: rows, of all tables of inputs;
    input_bytes: of all of them together."""

    layers: tuple[Layer, ...]
    inputs: float
    reads: float
    input_bytes: float

    @property
    def edges(self) -> float:
        """Of all layers."""
        return sum(layer.edges for layer in self.layers)

    @property
    def wire_bytes(self) -> Pair:
        """Of the arrays of (sampling, inputs), both ways, if all of it is asked of other hosts."""
        return sum(layer.wire_bytes for layer in self.layers), ID * self.reads + self.input_bytes


def tree_batch(seeds: float, fanouts: Sequence[int], edge_types: int, row_bytes: float) -> Batch:
    """An upper bound: no node is reached twice, every node has `fanout` edges of each of all `edge_types`,
    and one table of inputs.

    Layer by layer all nodes so far are targets again, as in `sample_blocks`.
    """
    nodes, layers = float(seeds), []
    for fanout in fanouts:
        edges = nodes * edge_types * fanout
        layers.append(Layer(nodes, nodes * edge_types, edges))
        nodes += edges
    return Batch(tuple(layers), nodes, nodes, nodes * row_bytes)


def remote_shares(layers: int, partitions: int, cut: float | None = None) -> list[float]:
    """[layers + 1]: the share of other hosts in the targets of each layer, then in the inputs.

    cut None: seeds of any partition, all layers alike. Otherwise seeds of the trainer's own host, and `cut` of the
    edges come from another partition: a node h edges away is there with 1 - (1 - cut)^h, at most as if at random.
    """
    anywhere = (partitions - 1) / partitions
    if cut is None:
        return [anywhere] * (layers + 1)
    return [min(1 - (1 - cut) ** h, anywhere) for h in range(layers + 1)]


def elsewhere(batch: Batch, shares: Sequence[float]) -> Batch:
    """The part of a batch that other hosts answer, by its shares a layer and of the inputs."""
    layers = tuple(layer * share for layer, share in zip(batch.layers, shares[:-1], strict=True))
    of = shares[-1]
    return Batch(layers, batch.inputs * of, batch.reads * of, batch.input_bytes * of)


@dataclass(frozen=True, slots=True)
class Traffic:
    """Of a trainer's batch, both ways; pairs are of (sampling, inputs). calls: messages; of sampling, times the edge
    types that each is about."""

    messages: Pair
    calls: Pair
    bytes: Pair


def traffic(remote: Batch, partitions: int, edge_types: int, header: Pair = (0.0, 0.0)) -> Traffic:
    """A question and an answer for each other host: one a layer that asks others at all, one for all inputs. header:
    bytes a call beside its arrays."""
    hosts = 2.0 * (partitions - 1)
    messages = hosts * sum(layer.asked > 0 for layer in remote.layers), hosts
    calls = messages[0] * edge_types, messages[1]
    arrays = remote.wire_bytes
    return Traffic(messages, calls, (arrays[0] + calls[0] * header[0], arrays[1] + calls[1] * header[1]))


@dataclass(frozen=True, slots=True)
class Measured:
    """Means of a measured batch: `remote` is the part of it that other hosts answered; CPU seconds of (sampling,
    inputs) in the trainer, and in all servers together."""

    name: str
    partitions: int
    edge_types: int
    batch: Batch
    remote: Batch
    traffic: Traffic
    client_cpu: Pair
    server_cpu: Pair
    wall: Pair
    message_cpu: float = 0.0
    """Of the trainer, for a message with next to nothing in it."""


@dataclass(frozen=True, slots=True)
class Costs:
    """CPU seconds; pairs are of (sampling, inputs).

    edge, input_byte: to sample an edge, to read a byte of inputs where they lie. spread: an edge or an input byte of a
    batch on top when there are several partitions, for putting answers together. message: the trainer's, a message.
    server_call: see Traffic.calls. header: bytes of a call beside its arrays.
    """

    edge: float
    input_byte: float
    spread: Pair
    client_byte: Pair
    message: float
    server_byte: Pair
    server_call: Pair
    header: Pair

    def client(self, batch: Batch, remote: Batch, of: Traffic) -> float:
        """Of the trainer for a batch, without the model's. What is asked elsewhere is not sampled here."""
        here = self.edge * (batch.edges - remote.edges) + self.input_byte * (batch.input_bytes - remote.input_bytes)
        if not sum(of.messages):
            return here
        together = _dot(self.spread, (batch.edges, batch.input_bytes))
        return here + together + _dot(self.client_byte, of.bytes) + self.message * sum(of.messages)

    def server(self, of: Traffic) -> float:
        """Of all servers for a batch."""
        return _dot(self.server_byte, of.bytes) + _dot(self.server_call, of.calls)


def fit(runs: Sequence[Measured]) -> Costs:
    """Costs by measured batches: one without other hosts, and at least two with, of different remote shares."""
    alone = next(r for r in runs if r.partitions == 1)
    edge, byte = alone.client_cpu[0] / alone.batch.edges, alone.client_cpu[1] / alone.batch.input_bytes
    far = [run for run in runs if run.partitions > 1]
    message = sum(run.message_cpu for run in far) / len(far)
    client, server, header = [], [], []
    for i in range(2):
        spent, served, more = [], [], []
        for run in far:
            of, whole, remote = run.traffic, run.batch, run.remote
            own = edge * (whole.edges - remote.edges), byte * (whole.input_bytes - remote.input_bytes)
            units = whole.edges, whole.input_bytes
            spent.append((units[i], of.bytes[i], run.client_cpu[i] - own[i] - message * of.messages[i]))
            served.append((of.bytes[i], of.calls[i], run.server_cpu[i]))
            more.append((of.bytes[i] - remote.wire_bytes[i]) / of.calls[i])
        client.append(_positive(spent))
        server.append(_positive(served))
        header.append(sum(more) / len(more))
    (spread, sent), (served_bytes, calls) = zip(*client, strict=True), zip(*server, strict=True)
    return Costs(edge, byte, spread, sent, message, served_bytes, calls, (header[0], header[1]))


def _positive(rows: Sequence[tuple[float, float, float]]) -> Pair:
    """Least squares of (a, b) in a x + b y = z, none below zero: a negative one is zero, the other fitted alone."""
    x, z = np.array([row[:2] for row in rows]), np.array([row[2] for row in rows])
    scale = x.max(axis=0)
    found = np.linalg.lstsq(x / scale, z, rcond=None)[0] / scale
    for i in range(2):
        if found[i] < 0:
            one = x[:, 1 - i]
            found[i], found[1 - i] = 0.0, max(float(one @ z / (one @ one)), 0.0)
    return float(found[0]), float(found[1])


def _dot(a: Pair, b: Pair) -> float:
    return a[0] * b[0] + a[1] * b[1]


# -- whole graphs ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Scene:
    """A training to be predicted: a graph with one node type, hosts, and what these can do.

    edges: messages, reverses counted. seeds: rows a trainer and step. cut: see remote_shares. model_s: CPU seconds of
    forward, backward and optimizer for a trainer's batch, spread over its share of the cores. servers: processes on a
    host that answer, a core each.
    """

    nodes: float
    edges: float
    train_nodes: float
    edge_types: int = 1
    row_bytes: float = 256
    hosts: int = 1
    trainers: int = 8
    servers: int = 8
    seeds: int = 1024
    fanouts: tuple[int, ...] = (10, 10)
    cores: int = 48
    gbit: float = 25.0
    cut: float | None = None
    model_s: float = 0.1

    @property
    def steps(self) -> float:
        """Of an epoch."""
        return self.train_nodes / (self.seeds * self.trainers * self.hosts)


@dataclass(frozen=True, slots=True)
class Prediction:
    """Of a scene: seconds of an epoch that each place is busy, traffic of a trainer's batch, bytes of memory."""

    steps: float
    batch_bytes: float
    batch_messages: float
    network_s: float
    server_s: float
    trainer_s: float
    host_s: float
    """All CPU seconds of a host over its cores."""
    partition_bytes: float
    trainer_bytes: float
    shared_bytes: float
    """Of a host, for all its trainers."""

    @property
    def fastest_s(self) -> float:
        """All at once: the busiest place decides."""
        return max(self.network_s, self.server_s, self.trainer_s, self.host_s)

    @property
    def slowest_s(self) -> float:
        """One after the other."""
        return max(self.network_s + self.server_s + self.trainer_s, self.host_s)


def predict(scene: Scene, costs: Costs) -> Prediction:
    """Nothing is reached twice (see tree_batch): an upper bound of edges and rows."""
    batch = tree_batch(scene.seeds, scene.fanouts, scene.edge_types, scene.row_bytes)
    remote = elsewhere(batch, remote_shares(len(scene.fanouts), scene.hosts, scene.cut))
    of = traffic(remote, scene.hosts, scene.edge_types, costs.header)
    client, server = costs.client(batch, remote, of), costs.server(of)
    # Every byte leaves one host and reaches another: as many go out as come in, at once.
    network = scene.trainers * sum(of.bytes) / (scene.gbit * 1e9 / 8)
    steps, trainers = scene.steps, scene.trainers
    return Prediction(
        steps,
        sum(of.bytes),
        sum(of.messages),
        steps * network,
        steps * trainers * server / min(scene.servers, scene.cores),
        steps * (client + scene.model_s * trainers / scene.cores),
        steps * trainers * (client + scene.model_s + server) / scene.cores,
        partition_bytes(scene),
        trainer_bytes(scene),
        shared_bytes(scene),
    )


def partition_bytes(scene: Scene) -> float:
    """Of a host: ends of edges, index pointers, rows of inputs; memory-mapped, so that only what is touched is held."""
    width = 4 if scene.nodes < 2**31 else 8
    total = scene.edges * 2 * width + scene.nodes * (scene.edge_types * 8 + scene.row_bytes)
    return total / scene.hosts


def trainer_bytes(scene: Scene) -> float:
    """What every process that samples holds whatever the number of hosts: a position a node (of up to DENSE_NODES), and
    the order of all training nodes in the epoch."""
    position = 4 if scene.nodes <= DENSE_NODES else 0
    return scene.nodes * position + scene.train_nodes * KEPT_ID


def shared_bytes(scene: Scene) -> float:
    """What the trainers of a host share, whatever the number of hosts: labels and splits of all nodes, ids of all
    training nodes."""
    return scene.nodes * (LABEL + SPLIT) + scene.train_nodes * KEPT_ID


# -- what the command line prints -----------------------------------------------------------------------------------

MEASURED = Costs(
    edge=1.6e-7,
    input_byte=2.2e-10,
    spread=(8.6e-8, 1.1e-10),
    client_byte=(4.0e-9, 9.9e-10),
    message=4.8e-4,
    server_byte=(0.0, 6.7e-10),
    server_call=(1.2e-4, 1.4e-3),
    header=(81.0, 424.0),
)
"""2026-11-26, a core of an EPYC (Zen 5) at a load of 6 to 8, which makes all of it some 1.5 times dearer: runs over one
and two partitions of docs/benchmarks/scaling.md. header: of 2026-11-24."""

CUT = 0.3
"""RankSlice of edges between METIS partitions. Debian packages: .12 with 2, .17 with 4; here it is an assumption."""


def scaling_table(costs: Costs = MEASURED) -> Iterator[str]:
    """Predictions for graphs of a billion and a hundred billion edges, seeds of any host and of the own one."""
    head = ["edges", "hosts", "seeds", "steps", "MB a batch", "messages", "network s", "servers s", "trainer s"]
    head += ["host cpu s", "epoch s", "partition GB", "trainer GB", "shared GB"]
    rows = []
    for edges in (1e9, 1e11):
        nodes = edges / 100
        for hosts in (16, 64):
            for cut in (None, CUT):
                said = predict(Scene(nodes, edges, 0.8 * nodes, hosts=hosts, cut=cut), costs)
                times = (said.network_s, said.server_s, said.trainer_s, said.host_s)
                rows.append(
                    [
                        f"{edges / 1e9:.0f}B",
                        str(hosts),
                        "any" if cut is None else f"own, {100 * cut:.0f}% cut",
                        f"{said.steps:,.0f}",
                        f"{said.batch_bytes / 1e6:.1f}",
                        f"{said.batch_messages:.0f}",
                        *(f"{t:,.0f}" for t in times),
                        f"{said.fastest_s:,.0f} - {said.slowest_s:,.0f}",
                        f"{said.partition_bytes / 1e9:.1f}",
                        f"{said.trainer_bytes / 1e9:.1f}",
                        f"{said.shared_bytes / 1e9:.1f}",
                    ]
                )
    yield from table(head, rows)
    yield f"Assumed: {Scene(0, 0, 0)}; a hundredth as many nodes as edges, 80 % of them for training. Not measured."


if __name__ == "__main__":
    print("\n".join(scaling_table()))
