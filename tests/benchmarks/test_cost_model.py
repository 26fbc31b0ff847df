"""The cost model's arithmetic: answers worked out by hand, and constants found again in numbers made from them."""

from __future__ import annotations

import dataclasses

import pytest
from cost_model import (
    Batch,
    Costs,
    Layer,
    Measured,
    Scene,
    elsewhere,
    fit,
    predict,
    remote_shares,
    scaling_table,
    traffic,
    tree_batch,
)

COSTS = Costs(
    edge=1e-7, input_byte=1e-9, spread=(3e-8, 3e-10), client_byte=(2e-9, 1e-9), message=5e-5,
    server_byte=(3e-9, 4e-9), server_call=(7e-5, 9e-5), header=(400.0, 200.0),
)  # fmt: skip


def test_tree() -> None:
    # 2 seeds: 2 types * 3 edges each = 12 edges, 14 nodes; these: 14 * 2 * 5 = 140 edges, 154 nodes.
    batch = tree_batch(2, [3, 5], edge_types=2, row_bytes=100)
    assert batch == Batch((Layer(2, 4, 12), Layer(14, 28, 140)), 154, 154, 15_400)
    assert batch.edges == 152


def test_shares() -> None:
    assert remote_shares(2, 4) == [0.75, 0.75, 0.75]
    assert remote_shares(2, 1) == [0, 0, 0]
    assert remote_shares(2, 4, cut=0.1) == pytest.approx([0, 0.1, 0.19])
    assert remote_shares(2, 2, cut=0.9) == [0, 0.5, 0.5]  # never worse than at random


def test_traffic() -> None:
    remote = elsewhere(tree_batch(2, [3, 5], 2, 100), [0.5, 0.5, 0.5])
    # Half of: asked 16 * 4, found 32 * 5, edges 152 * 8; half of 154 rows of 4 + 100 bytes.
    of = traffic(remote, partitions=3, edge_types=2, header=(10, 20))
    assert of.messages == (8, 4)  # two other hosts, a question and an answer; two layers
    assert of.calls == (16, 4)
    assert of.bytes == (720 + 160, 8008 + 80)
    assert traffic(elsewhere(remote, [0, 0, 0]), 1, 2).bytes == (0, 0)
    assert traffic(elsewhere(remote, [0, 1, 1]), 3, 2).messages == (4, 4)  # the first layer asks nobody


def measured(partitions: int, seeds: int, cut: float | None = None) -> Measured:
    """As if the costs were COSTS."""
    batch = tree_batch(seeds, [3, 5], 2, 100)
    remote = elsewhere(batch, remote_shares(2, partitions, cut))
    of = traffic(remote, partitions, 2, COSTS.header)
    there = 1 if partitions > 1 else 0
    client = (
        COSTS.edge * (batch.edges - remote.edges) + there * COSTS.spread[0] * batch.edges,
        COSTS.input_byte * (batch.input_bytes - remote.input_bytes) + there * COSTS.spread[1] * batch.input_bytes,
    )
    sent = [COSTS.client_byte[i] * of.bytes[i] + COSTS.message * of.messages[i] for i in range(2)]
    server = [COSTS.server_byte[i] * of.bytes[i] + COSTS.server_call[i] * of.calls[i] for i in range(2)]
    cpu = (client[0] + sent[0], client[1] + sent[1]), (server[0], server[1])
    return Measured("", partitions, 2, batch, remote, of, *cpu, (1.0, 1.0), there * COSTS.message)


def test_costs_are_found_again() -> None:
    found = fit([measured(1, 1000), measured(2, 1000), measured(2, 1000, cut=0.1)])
    for name in (field.name for field in dataclasses.fields(Costs)):
        assert getattr(found, name) == pytest.approx(getattr(COSTS, name)), name
    four = measured(4, 500)
    assert found.client(four.batch, four.remote, four.traffic) == pytest.approx(sum(four.client_cpu))
    assert found.server(four.traffic) == pytest.approx(sum(four.server_cpu))
    one = measured(1, 500)
    assert found.client(one.batch, one.remote, one.traffic) == pytest.approx(sum(one.client_cpu))


def test_no_cost_is_below_zero() -> None:
    dear = [dataclasses.replace(measured(2, n), message_cpu=1.0, server_cpu=(1 / n, 1 / n)) for n in (10, 1000)]
    found = fit([measured(1, 1000), *dear])
    assert min(*found.spread, *found.client_byte, *found.server_byte, *found.server_call) == 0


def test_scene() -> None:
    scene = Scene(
        nodes=1000, edges=10_000, edge_types=2, row_bytes=100, train_nodes=800, hosts=2, trainers=2, servers=1, seeds=2,
        fanouts=(3, 5), cores=4, gbit=8e-6, cut=None, model_s=1.0,
    )  # fmt: skip
    said = predict(scene, COSTS)
    batch = tree_batch(2, [3, 5], 2, 100)
    remote = elsewhere(batch, [0.5, 0.5, 0.5])
    of = traffic(remote, 2, 2, COSTS.header)
    client, server = COSTS.client(batch, remote, of), COSTS.server(of)
    assert said.steps == 100
    assert (said.batch_bytes, said.batch_messages) == (sum(of.bytes), 6)
    assert said.network_s == pytest.approx(100 * 2 * sum(of.bytes) / 1000)  # 8e-6 Gb/s are 1,000 bytes a second
    assert said.server_s == pytest.approx(100 * 2 * server)
    assert said.trainer_s == pytest.approx(100 * (client + 0.5))  # two of four cores are its own
    assert said.host_s == pytest.approx(100 * 2 * (client + 1 + server) / 4)
    assert said.fastest_s == said.network_s
    assert said.slowest_s == said.network_s + said.server_s + said.trainer_s
    assert said.partition_bytes == (10_000 * 8 + 1000 * (16 + 100)) / 2
    assert said.trainer_bytes == 1000 * 4 + 800 * 8
    assert said.shared_bytes == 1000 * 5 + 800 * 8
    more = predict(dataclasses.replace(scene, hosts=4), COSTS)
    assert more.steps == 50
    # No less to hold on more hosts.
    assert (more.trainer_bytes, more.shared_bytes) == (said.trainer_bytes, said.shared_bytes)


def test_table_of_predictions() -> None:
    lines = list(scaling_table(COSTS))
    assert len(lines) == 10
    assert [line.split()[:3] for line in lines[1:3]] == [["1B", "16", "any"], ["1B", "16", "own,"]]
