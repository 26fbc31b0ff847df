"""A graph spread over hosts answers as it does from one machine's files, to every host, with few messages."""

from __future__ import annotations

import itertools
import os
import pickle
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from gconstruct.partition import partition_graph
from graphstorm_like.config.train import FanoutByType
from graphstorm_like.errors import LaunchError
from graphstorm_like.graph.local import LocalGraph
from graphstorm_like.graph.partition_reader import Partition
from graphstorm_like.graph.remote.client import Connection
from graphstorm_like.graph.remote.graph import RemoteGraph
from graphstorm_like.graph.store import ExcludedEdges, Subgraph
from graphstorm_like.ranks import tables as tables_module
from graphstorm_like.ranks.group import Group
from graphstorm_like.ranks.names import TableNames
from graphstorm_like.ranks.tables import RowTable, row_bounds
from graphstorm_like.sampling.batch import MiniBatch, StreamPosition, map_tensors
from graphstorm_like.sampling.loader import BatchPipeline, epoch_batches
from graphstorm_like.sampling.seeds import SeedStream
from graphstorm_like.sampling.steps import FetchFeatures, GraphFeature, NodeSeeder, SampleNeighbors

from ..gconstruct.partitioning import LINK, LINK_REV, random_graph
from .serving import clusters

HOSTS = (2, pytest.param(7, marks=pytest.mark.slow))
"""Seven: some have no user."""
Both = tuple[LocalGraph, list[RemoteGraph]]


@pytest.fixture(scope="module", params=HOSTS)
def hosts(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, list[Any]]]:
    where = tmp_path_factory.mktemp("hosts")
    partition_graph(random_graph(where / "tables", 5, items=80), where / "graph", request.param, seed=1)
    with clusters(where / "graph", where, request.param) as found:
        yield where / "graph", found


def graphs(hosts: tuple[Path, list[Any]], hide: Any = (), held_out: ExcludedEdges | None = None) -> Both:
    """(as one machine sees it, as each host does)"""
    folder, known = hosts
    return LocalGraph(folder, hide, held_out), [RemoteGraph(folder, hide, held_out, where) for where in known]


def assert_same(one: Any, two: Any) -> None:
    if isinstance(one, pa.Array):
        assert two.type == one.type
        assert two.equals(one)
        return
    assert (two.dtype, two.shape) == (one.dtype, one.shape)
    np.testing.assert_array_equal(one, two)


def assert_same_blocks(one: Subgraph, two: Subgraph) -> None:
    assert one.input_ids.keys() == two.input_ids.keys()
    for node_type, ids in one.input_ids.items():
        assert_same(ids, two.input_ids[node_type])
    for a, b in zip(one.blocks, two.blocks, strict=True):
        assert (a.num_src, a.num_dst, a.relations.keys()) == (b.num_src, b.num_dst, b.relations.keys())
        for edge_type, relation in a.relations.items():
            for name in ("rows", "offsets", "sources", "edge_ids"):
                assert_same(getattr(relation, name), getattr(b.relations[edge_type], name))


# -------------------------------------------------------------------------------------------------------------- columns


def test_columns(hosts: tuple[Path, list[Any]]) -> None:
    here, every = graphs(hosts, {LINK: "gap"})
    n, rng = here.manifest.node("item").count, np.random.default_rng(0)
    asked = [rng.permutation(n), rng.integers(n, size=200), np.arange(3), np.zeros(0, dtype=np.int64)]
    for there in every:
        for node_type in ("item", "user", "tag"):
            assert_same(here.ids(node_type), there.ids(node_type))
        assert_same(here.text("item", "title"), there.text("item", "title"))
        assert_same(here.text(LINK, "note"), there.text(LINK, "note"))
        for ids in asked:
            assert_same(here.ids_of("item", ids), there.ids_of("item", ids))
            for name in ("size", "colour", "wide"):
                assert_same(here.gather("item", name, ids), there.gather("item", name, ids))
            one, two = (graph.begin_entries("item", "wide", ids).wait() for graph in (here, there))
            for part in ("offsets", "indices", "values"):
                assert_same(getattr(one, part), getattr(two, part))
        for name in ("colour", "wide"):
            assert_same(here.feature("item", name), there.feature("item", name))
        for name, split in itertools.product(("kind", "score"), ("train", "valid", "test")):
            assert_same(here.label("item", name), there.label("item", name))
            assert_same(here.label_rows("item", name, split), there.label_rows("item", name, split))
        users = np.arange(here.manifest.node("user").count)[::-1]
        assert_same(here.ids_of("user", users), there.ids_of("user", users))


def test_edges(hosts: tuple[Path, list[Any]]) -> None:
    here, every = graphs(hosts, [LINK])
    for there, edge in itertools.product(every, here.manifest.edges):
        edge_type = edge.edge_type
        some = np.random.default_rng(1).permutation(edge.count)
        for ids in (None, some, some[:1], some[:0]):
            for one, two in zip(here.edges(edge_type, ids), there.edges(edge_type, ids), strict=True):
                assert_same(one, two)
        assert_same(here.hidden_rows(edge_type), there.hidden_rows(edge_type))
        assert_same(here.degrees(edge_type), there.degrees(edge_type))
        count = here.manifest.node(edge_type[2]).count
        for start, stop in ((0, 1), (count // 3, count), (count // 4, 3 * count // 4), (count, count), (0, 0)):
            assert_same(here.degrees(edge_type, start, stop), there.degrees(edge_type, start, stop))
        if edge_type in (LINK, LINK_REV):
            assert_same(here.gather(edge_type, "number", some), there.gather(edge_type, "number", some))
            assert_same(here.edge_label(edge_type, "gap"), there.edge_label(edge_type, "gap"))
            for split in ("train", "valid", "test"):
                assert_same(here.edge_rows(edge_type, split), there.edge_rows(edge_type, split))
                assert_same(*(g.edge_label_rows(edge_type, "gap", split) for g in (here, there)))
                assert not there.edge_rows(edge_type, split).flags.writeable  # one copy a host, in its shared memory
    assert len(here.hidden_rows(LINK)) > 0


def test_ids_that_are_none_are_told_of(hosts: tuple[Path, list[Any]]) -> None:
    """Not answered with what happens to lie in memory."""
    here, (there, *_) = graphs(hosts)
    for graph, wrong in itertools.product((here, there), (-1, here.manifest.node("item").count)):
        with pytest.raises(IndexError, match="ids must be in"):
            graph.gather("item", "size", np.array([0, wrong]))


# ------------------------------------------------------------------------------------------------------- neighbourhoods


def held_out(folder: Path) -> ExcludedEdges:
    return ExcludedEdges({LINK: LocalGraph(folder).edges(LINK, np.arange(0, 30, 3))})


@pytest.mark.parametrize("hide", [(), (LINK,), {LINK: "gap"}], ids=["all", "split", "label"])
@pytest.mark.parametrize("with_held_out", [False, True])
def test_neighbourhoods(hosts: tuple[Path, list[Any]], hide: Any, with_held_out: bool) -> None:
    here, every = graphs(hosts, hide, held_out(hosts[0]) if with_held_out else None)
    seeds = {"item": np.arange(0, 80, 3), "user": np.arange(here.manifest.node("user").count)}
    mixed = FanoutByType(default=2, by_edge_type={"item:link:item": 0, "user:likes:item": -1})
    for fanouts in ([-1, -1], [3, 2], [1], [2, -1, 1]):
        for there in every:
            layers = [FanoutByType(default=k) for k in fanouts]
            one, two = (g.sample(seeds, layers, np.random.default_rng(4)) for g in (here, there))
            assert_same_blocks(one, two)
            assert sum(len(r.sources) for b in one.blocks for r in b.relations.values()) > 20
    for there in every:
        assert_same_blocks(*(g.sample(seeds, [mixed], np.random.default_rng(5)) for g in (here, there)))
        alone = {"item": np.array([7])}
        assert_same_blocks(*(g.sample(alone, [mixed], np.random.default_rng(5)) for g in (here, there)))


def drawn(made: Subgraph) -> dict[Any, list[int]]:
    """Edges into each node, by layer, edge type and node."""
    found = {}
    for layer, block in enumerate(reversed(made.blocks)):
        for edge_type, relation in block.relations.items():
            targets = made.input_ids[edge_type[2]][relation.rows]
            for i, target in enumerate(targets.tolist()):
                edges = relation.edge_ids[relation.offsets[i] : relation.offsets[i + 1]]
                found[layer, edge_type, target] = edges.tolist()
    return found


def test_ranks_sample_together_what_one_process_does(hosts: tuple[Path, list[Any]]) -> None:
    """A node has the same neighbours on every rank, and in every partition: training is the same on any number."""
    here, every = graphs(hosts, [LINK])
    layers, seeds = [FanoutByType(default=k) for k in (2, 1)], np.arange(0, 80, 2)
    whole = drawn(here.sample({"item": seeds}, layers, np.random.default_rng(4)))
    together: dict[Any, list[int]] = {}
    for number, there in enumerate(every):
        mine = seeds[number :: len(every)]
        found = drawn(there.sample({"item": mine}, layers, np.random.default_rng(4)))
        assert found.items() <= whole.items()
        together |= found
    assert together == whole
    other = drawn(here.sample({"item": seeds}, layers, np.random.default_rng(5)))
    assert sum(whole[key] != other.get(key) for key in whole) > 20


def test_hidden_edges_are_in_no_neighbourhood(hosts: tuple[Path, list[Any]]) -> None:
    here, every = graphs(hosts, [LINK], held_out(hosts[0]))
    for there in every:
        hidden = {t: set(here.hidden_rows(t).tolist()) for t in (LINK, LINK_REV)}
        made = there.sample({"item": np.arange(80)}, [FanoutByType(default=-1)], np.random.default_rng(0))
        for edge_type, rows in hidden.items():
            shown = set(made.blocks[0].relations[edge_type].edge_ids.tolist())
            assert len(rows) > 10
            assert not rows & shown
            assert len(rows) + len(shown) == here.manifest.edge(edge_type).count


@pytest.mark.parametrize("fanout", [-1, 4])
def test_no_block_holds_a_target_edge(hosts: tuple[Path, list[Any]], fanout: int) -> None:
    """Compared by end points, forward and reverse."""
    _, every = graphs(hosts)
    for there in every:
        leaks = {False: 0, True: 0}
        for step in range(4):
            rows = np.random.default_rng(step).choice(there.manifest.edge(LINK).count, 12, replace=False)
            source, target = there.edges(LINK, rows)
            unwanted = set(zip(source.tolist(), target.tolist()))
            for excluded in leaks:
                made = there.sample(
                    {"item": np.unique(np.concatenate([source, target]))},
                    [FanoutByType(default=fanout)] * 2,
                    np.random.default_rng(step),
                    there.reverse_pairs(LINK, source, target) if excluded else None,
                )
                for block, edge_type in itertools.product(made.blocks, (LINK, LINK_REV)):
                    relation = block.relations.get(edge_type)
                    if relation is not None:
                        ends = there.edges(edge_type, relation.edge_ids)[:: 1 if edge_type == LINK else -1]
                        leaks[excluded] += sum(e in unwanted for e in zip(*(of.tolist() for of in ends)))
        assert leaks[True] == 0
        assert leaks[False] > 20


# -------------------------------------------------------------------------------------------------------------- batches


def batches(graph: Any) -> tuple[BatchPipeline, SeedStream]:
    sources = {
        "item": {name: GraphFeature(graph, "item", name) for name in ("size", "colour")},
        LINK: {"number": GraphFeature(graph, LINK, "number")},
    }
    steps = [SampleNeighbors(graph, [FanoutByType(default=3)] * 2, seed=3), FetchFeatures(sources)]
    return BatchPipeline(NodeSeeder("item", graph.label("item", "kind")), steps), SeedStream(np.arange(80), 32, 3)


def tensors(batch: MiniBatch) -> list[torch.Tensor]:
    found: list[torch.Tensor] = []
    map_tensors(batch, lambda t: (found.append(t), t)[1])
    return found


def assert_same_batches(one: Iterator[MiniBatch], two: Iterator[MiniBatch]) -> None:
    for a, b in zip(one, two, strict=True):
        assert a.position == b.position
        assert len(tensors(a)) > 20
        assert all(torch.equal(x, y) for x, y in zip(tensors(a), tensors(b), strict=True))


def test_batches(hosts: tuple[Path, list[Any]]) -> None:
    here, every = graphs(hosts, [LINK])
    for there in every:
        assert_same_batches(epoch_batches(*batches(here), 1), epoch_batches(*batches(there), 1))


def test_a_batch_costs_a_message_a_layer_and_host_and_one_for_all_rows(
    hosts: tuple[Path, list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, every = graphs(hosts)
    sent: list[Any] = []
    talk = Connection._talk

    def counted(connection: Connection, message: Any) -> Any:
        sent.append(message)
        return talk(connection, message)

    for there in every:
        made, _ = batches(there)
        made.make(np.arange(80), StreamPosition(0, 0))
        with monkeypatch.context() as patch:
            patch.setattr(Connection, "_talk", counted)
            sent.clear()
            for step in range(3):
                made.make(np.arange(80), StreamPosition(0, step))
        assert len(sent) == 3 * (2 + 1) * (len(every) - 1)
        assert max(len(m.calls) for m in sent) >= 3  # the rows of all columns together


def test_hosts_work_at_the_same_time(hosts: tuple[Path, list[Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Questions are on their way before a host begins with its own part."""
    _, every = graphs(hosts)
    events: list[str] = []
    flush, hops = Connection.flush, Partition._hops

    def sends(connection: Connection) -> None:
        events.extend(["send"] * bool(connection._queued))
        flush(connection)

    for there in every:
        there.gather("item", "size", np.arange(80))
        mine = there.parts[there._cluster.host]

        def works(part: Any, *arguments: Any, mine: Any = mine) -> Any:
            events.extend(["work"] * (part is mine))
            return hops(part, *arguments)

        with monkeypatch.context() as patch:
            patch.setattr(Connection, "flush", sends)
            patch.setattr(Partition, "_hops", works)
            events.clear()
            there.sample({"item": np.arange(80)}, [FanoutByType(default=2)], np.random.default_rng(0))
        assert events == ["send"] * (len(every) - 1) + ["work"]


@pytest.mark.dist
@pytest.mark.skipif(sys.platform != "linux", reason="there is a fork server on Linux only")
def test_sampler_processes(hosts: tuple[Path, list[Any]]) -> None:
    """Forked by a fork server, each with connections of its own, also when the parent's are in use."""
    _, every = graphs(hosts, [LINK])
    there = every[0]
    waiting = there.begin_gather("item", "size", np.arange(80))
    there.client.flush()
    assert_same_batches(epoch_batches(*batches(there), 0), epoch_batches(*batches(there), 0, workers=2))
    assert len(waiting.wait()) == 80


@pytest.mark.dist
@pytest.mark.skipif(sys.platform != "linux", reason="there is a fork server on Linux only")
def test_a_sampler_process_that_dies_is_noticed(hosts: tuple[Path, list[Any]]) -> None:
    """Also when nobody waits for it as a child, and long before the timeout."""
    _, (there, *_) = graphs(hosts)
    there.gather("item", "size", np.arange(80))
    pipeline, stream = batches(there)
    start = time.monotonic()
    with pytest.raises(LaunchError, match="sampler processes must deliver a batch"):
        list(epoch_batches(BatchPipeline(pipeline.seeder, [*pipeline.steps, kill_itself]), stream, 0, workers=1))
    assert time.monotonic() - start < 30


def kill_itself(batch: MiniBatch) -> MiniBatch:
    """A step that ends its process."""
    os.kill(os.getpid(), signal.SIGKILL)
    return batch


@pytest.mark.dist
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_fork_is_told_that_it_must_not_ask(hosts: tuple[Path, list[Any]]) -> None:
    """gRPC would hang for ever in it. Its parent goes on."""
    here, (there, *_) = graphs(hosts)
    there.gather("item", "size", np.arange(80))
    queued = there.begin_gather("item", "size", np.arange(80))
    reader, writer = os.pipe()
    if (pid := os.fork()) == 0:
        try:
            for ask in (queued.wait, lambda: there.gather("item", "size", np.arange(80))):
                try:
                    ask()
                except LaunchError as err:
                    os.write(writer, str(err).encode())
        finally:
            os._exit(0)
    os.close(writer)
    os.waitpid(pid, 0)
    with os.fdopen(reader) as said:
        assert said.read().count("must be asked by a process that no process with connections has forked") == 2
    assert_same(here.gather("item", "size", np.arange(80)), queued.wait())


def test_a_copy_connects_anew(hosts: tuple[Path, list[Any]]) -> None:
    here, every = graphs(hosts, [LINK], held_out(hosts[0]))
    for there in every:
        copy = pickle.loads(pickle.dumps(there))
        assert_same(here.hidden_rows(LINK), copy.hidden_rows(LINK))
        assert_same(here.gather("item", "size", np.arange(80)), copy.gather("item", "size", np.arange(80)))


def test_hosts_are_as_many_as_partitions(hosts: tuple[Path, list[Any]], tmp_path: Path) -> None:
    partition_graph(hosts[0], tmp_path / "five", 5)
    with pytest.raises(LaunchError, match=r"must have a partition for each of \d hosts \(got 5\).*gsl partition"):
        RemoteGraph(tmp_path / "five", (), None, hosts[1][0])


# -------------------------------------------------------------------------------------------------------- shared tables


class Rank(Group):
    """A rank of a host of its own; what others do, the test does."""

    def __init__(self, host: int, hosts: int) -> None:
        self.rank = self.host = host
        self.size = self.hosts = hosts


def test_tables_of_rows(hosts: tuple[Path, list[Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Each host writes its own, all read any."""
    here, every = graphs(hosts)
    for node_type in ("item", "user"):
        tables = []
        for host, (there, where) in enumerate(zip(every, hosts[1], strict=True)):
            monkeypatch.setattr(tables_module, "TABLE_NAMES", TableNames())
            tables.append(RowTable(there, node_type, 3, Rank(host, len(every)), where.shm))
        count = here.manifest.node(node_type).count
        whole = np.random.default_rng(0).random((count, 3), dtype=np.float32)
        assert np.asarray(tables[0]).tolist() == np.zeros((count, 3)).tolist()
        for table in tables:
            assert (table.is_whole, len(table), table.own.shape) == (False, count, (table.stop - table.start, 3))
            table.put(table.start, whole[table.start : table.stop])
        assert [(t.start, t.stop) for t in tables] == list(itertools.pairwise(here.starts(node_type).tolist()))
        ids = np.random.default_rng(1).integers(count, size=40)
        for table in tables:
            assert_same(whole[ids], table.rows(ids))
            assert_same(whole, table[:])
            assert_same(whole[1:3], table[1:3])
            assert_same(whole[:0], table.rows(ids[:0]))
        with pytest.raises(AssertionError, match="another rank"):
            tables[0].put(tables[0].stop, whole[:1])
        tables[0].own[:] = 7  # no copy: seen by the others at once
        assert (tables[-1].rows(np.arange(tables[0].stop)) == 7).all()


def test_bounds_follow_the_partitions(hosts: tuple[Path, list[Any]]) -> None:
    here, every = graphs(hosts)
    for row_type, trainers in itertools.product(("item", "user", LINK), (1, 2, 5)):
        group = Rank(0, len(every))
        group.local_size, group.size = trainers, trainers * len(every)
        bounds = row_bounds(every[0], row_type, group)
        assert len(bounds) == group.size + 1
        assert (np.diff(bounds) >= 0).all()
        assert bounds[::trainers].tolist() == here.starts(row_type).tolist()
        sizes = np.diff(bounds).reshape(len(every), trainers)
        assert (sizes.max(axis=1) - sizes.min(axis=1) <= 1).all()
