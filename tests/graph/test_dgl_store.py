"""DGL's store: hosts whose messages go through DGL's own serialization, and then to the answers without a network.

tests/launch/test_dgl_jobs.py runs real servers.
"""

from __future__ import annotations

import importlib.util
import itertools
import pickle
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from gconstruct.partition import partition_graph
from graphstorm_like.config import build_pipeline
from graphstorm_like.config.train import FanoutByType
from graphstorm_like.errors import ConfigError, DataError, LaunchError
from graphstorm_like.graph.dgl import client as client_module
from graphstorm_like.graph.dgl import store as store_module
from graphstorm_like.graph.dgl.client import DglClient
from graphstorm_like.graph.dgl.message_graph import DglPartition
from graphstorm_like.graph.dgl.module import require_dgl
from graphstorm_like.graph.dgl.rpc import Answer, Question, packed, plain_loads, unpack
from graphstorm_like.graph.dgl.server import GraphAnswers, serve
from graphstorm_like.graph.dgl.store import DglGraph
from graphstorm_like.graph.dgl.trust import check_addresses, check_packages
from graphstorm_like.graph.local import LocalGraph
from graphstorm_like.graph.partition_reader import Partition, hidden_edges
from graphstorm_like.graph.past import HopRequest
from graphstorm_like.graph.remote.cluster import Cluster
from graphstorm_like.graph.remote.credentials import Credentials
from graphstorm_like.graph.shared import SharedTable, publish
from graphstorm_like.graph.store import ExcludedEdges, Subgraph
from graphstorm_like.testing.graphs import shop_pipeline

from ..gconstruct.partitioning import LINK, LINK_REV, random_graph

needs_dgl = pytest.mark.skipif(importlib.util.find_spec("dgl") is None, reason="needs dgl")
pytestmark = [pytest.mark.dgl]
HOSTS = 3
ALL = FanoutByType(default=-1)
NOBODY = Credentials("")


class Loopback:
    """What DglClient uses of dgl.distributed.rpc: messages are made and read by DGL, and answered at once."""

    def __init__(self, answers: list[GraphAnswers]) -> None:
        self._rpc, self._answers = require_dgl().distributed.rpc, answers
        self._arrived: list[Any] = []
        self.deserialize_from_payload = self._rpc.deserialize_from_payload
        self.questions: list[Question] = []

    def send_requests_to_machine(self, asked: list[tuple[int, Question]]) -> dict[int, int]:
        ((server, question),) = asked
        self.questions.append(question)
        received = self.deserialize_from_payload(Question, *self._plainly(question))
        data, tensors = self._plainly(received.process_request(self._answers[server]))
        number = len(self.questions)
        self._arrived.append(SimpleNamespace(msg_seq=number, data=data, tensors=tensors))
        return {number: 0}

    def _plainly(self, message: Any) -> tuple[Any, list[Any]]:
        data, tensors = self._rpc.serialize_to_payload(message)
        plain_loads(data)  # holds nothing that servers would refuse
        return data, tensors

    def recv_rpc_message(self, _milliseconds: int) -> Any:
        return self._arrived.pop() if self._arrived else None  # the newest first: answers come in any order


class Hosts:
    """Graph folder, and what a trainer of each host knows."""

    def __init__(self, folder: Path, where: Path) -> None:
        self.folder = folder
        places = [where / f"h{host}" for host in range(HOSTS)]
        for place in places:
            place.mkdir()
        self.answers = [GraphAnswers(folder, host, place) for host, place in enumerate(places)]
        servers = tuple((("127.0.0.1", 20_000 + host),) for host in range(HOSTS))
        self.clusters = []
        for host, place in enumerate(places):
            self.clusters.append(Cluster("test", host, HOSTS, place, servers, NOBODY, 0.5, store="dgl"))

    def graphs(self, hide: Any = (), held_out: ExcludedEdges | None = None) -> tuple[LocalGraph, list[DglGraph]]:
        """(as one machine sees it, as each host does)"""
        every = []
        for cluster in self.clusters:
            client_module._client = None
            every.append(DglGraph(self.folder, hide, held_out, cluster))
        client_module._client = None
        return LocalGraph(self.folder, hide, held_out), every


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    where = tmp_path_factory.mktemp("hosts")
    partition_graph(random_graph(where / "tables", 5, items=80), where / "graph", HOSTS, seed=1)
    found = Hosts(where / "graph", where)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DglClient, "_connect", lambda *_: Loopback(found.answers))
        yield found


def edges_of(made: Subgraph) -> Iterator[Counter[tuple[str, int, int, int]]]:
    """Of each block: (written edge type, source id, target id, edge id), checked against the form of blocks."""
    for block in made.blocks:
        found: Counter[tuple[str, int, int, int]] = Counter()
        for edge_type, relation in block.relations.items():
            assert (np.diff(relation.rows) > 0).all()
            assert relation.offsets[0] == 0
            assert (np.diff(relation.offsets) > 0).all()
            assert relation.sources.max() < block.num_src[edge_type[0]]
            rows = np.repeat(relation.rows, np.diff(relation.offsets))
            assert rows.max() < block.num_dst[edge_type[2]]
            ends = made.input_ids[edge_type[0]][relation.sources], made.input_ids[edge_type[2]][rows]
            found.update((":".join(edge_type), *e) for e in zip(*(a.tolist() for a in (*ends, relation.edge_ids))))
        yield found


def same(one: Any, two: Any) -> bool:
    if isinstance(one, pa.Array):
        return bool(one.equals(two))
    return (one.dtype, one.shape) == (two.dtype, two.shape) and np.array_equal(
        one, two, equal_nan=one.dtype.kind == "f"
    )


# -------------------------------------------------------------------------------------------------------------- columns


@needs_dgl
def test_columns_are_those_of_the_files(hosts: Hosts) -> None:
    here, every = hosts.graphs({LINK: "gap"})
    rng, count = np.random.default_rng(0), here.manifest.edge(LINK).count
    items, links = rng.integers(80, size=200), rng.permutation(count)
    for there in every:
        assert same(here.ids("item"), there.ids("item"))
        assert same(here.ids_of("user", np.zeros(3, np.int64)), there.ids_of("user", np.zeros(3, np.int64)))
        assert same(here.text("item", "title"), there.text("item", "title"))
        assert same(here.text(LINK, "note"), there.text(LINK, "note"))
        for name, ids in itertools.product(("size", "colour"), (items, items[:0])):
            assert same(here.gather("item", name, ids), there.gather("item", name, ids))
        assert same(here.gather(LINK, "number", links), there.gather(LINK, "number", links))
        for name in ("kind", "score"):
            assert same(here.label("item", name), there.label("item", name))
        for edge in here.manifest.edges:
            assert same(here.hidden_rows(edge.edge_type), there.hidden_rows(edge.edge_type))
            assert same(here.degrees(edge.edge_type), there.degrees(edge.edge_type))
            for one, two in zip(here.edges(edge.edge_type), there.edges(edge.edge_type), strict=True):
                assert same(one, two)


@needs_dgl
def test_tables_that_trainers_publish(hosts: Hosts) -> None:
    """Learnable embeddings, vectors and tokens are tables of each host: others ask its server for their rows."""
    here, every = hosts.graphs()
    starts, whole = every[0].starts("item").tolist(), np.arange(160, dtype="<f2").reshape(80, 2)
    for cluster, (start, stop) in zip(hosts.clusters, itertools.pairwise(starts), strict=True):
        file = cluster.shm / "rows"
        file.write_bytes(whole[start:stop].tobytes())
        publish(cluster.shm, SharedTable("item:vectors", str(file), "<f2", (stop - start, 2)))
        for name, numbers in (("index", range(stop - start)), ("offsets", range(0, 2 * (stop - start) + 1, 2))):
            (cluster.shm / name).write_bytes(np.array(numbers, dtype="<i8").tobytes())
        flat = (str(file), "<f2", (2 * (stop - start), 1))
        places = {name: str(cluster.shm / name) for name in ("index", "offsets")}
        publish(cluster.shm, SharedTable("item:tokens", *flat, places["index"], "<i8", places["offsets"]))
    ids = np.random.default_rng(1).integers(80, size=50)
    for there in every:
        assert same(whole[ids], there.begin_shared("item", "vectors", ids).wait())
        for _, at, items in there.begin_ragged("item", "tokens", ids).wait():
            assert same(whole[ids[at]], items.values.reshape(-1, 2)[items.item_of_row])


def test_arrays_of_all_kinds_travel() -> None:
    """Half the size too, by bit patterns: bfloat16 is stored as uint16."""
    arrays = [
        np.array([[1.5, np.nan]], np.float16),
        np.array([0x3F80, 0xFFFF], np.uint16),
        np.array([True, False]),
        np.zeros((0, 3), np.float32),
        np.int64(7),
        np.arange(6, dtype=np.int32)[::2],
        pa.array(["a", None, "ü" * 40], pa.large_string()),
        pa.array([], pa.large_string()),
    ]
    described, tensors = packed(arrays)
    ((what, back),) = unpack((("what", described),), [tensor.clone() for tensor in tensors])
    assert what == "what"
    assert all(same(np.asarray(a) if np.isscalar(a) else a, b) for a, b in zip(arrays, back, strict=True))


def test_a_message_holds_no_code() -> None:
    message = Answer((("", (("<i8", (3,)),)),), [])
    assert plain_loads(pickle.dumps(([0], [message.plain]))) == ([0], [message.plain])
    with pytest.raises(pickle.UnpicklingError, match=r"must hold plain values only \(got builtins.print\)"):
        plain_loads(pickle.dumps(([0], [print])))


@needs_dgl
def test_what_fails_at_a_server_is_told(hosts: Hosts) -> None:
    _, (there, *_) = hosts.graphs()
    with pytest.raises(DataError, match=r"DGL's server 127.0.0.1:20001: .*unknown feature 'sise'"):
        there.parts[1].begin_rows(("item", "feature:sise"), np.arange(3)).wait()
    assert len(there.gather("item", "size", np.arange(80))) == 80  # and the next question is answered
    pending = there.begin_gather("item", "size", np.arange(80))
    there.questions.flush()
    there.questions._rpc._arrived.clear()
    with pytest.raises(LaunchError, match=r"DGL's server 127.0.0.1:2000\d: must answer within 0.5 s"):
        pending.wait()


@needs_dgl
def test_another_graph_is_refused(hosts: Hosts, tmp_path: Path) -> None:
    partition_graph(hosts.folder, tmp_path / "other", HOSTS, seed=2)
    client_module._client = None
    with pytest.raises(DataError, match=r"must be the trainers' graph .*Copy it to this host again"):
        DglGraph(tmp_path / "other", (), None, hosts.clusters[0])
    client_module._client = None


# ------------------------------------------------------------------------------------------------------- neighbourhoods


@needs_dgl
@pytest.mark.parametrize("count", [1, 3, 7])
def test_dgl_finds_all_that_numpy_finds(hosts: Hosts, tmp_path: Path, count: int) -> None:
    """Of every partition, in the same order; with 7, some have no user."""
    partition_graph(hosts.folder, tmp_path / "graph", count, seed=1)
    graph = LocalGraph(tmp_path / "graph", [LINK])
    hidden, rng = hidden_edges(graph.manifest, graph.hide, graph.held_out, "here"), np.random.default_rng(2)
    for p, schema in enumerate(graph.manifest.partitions):
        (tmp_path / str(p)).mkdir()
        theirs = DglPartition(tmp_path / "graph", graph.manifest, p, hidden, tmp_path / str(p))
        ours = Partition(tmp_path / "graph", graph.manifest, p, hidden)
        sizes = {t: int(np.diff(schema.node_ranges[t])[0]) for t in graph.manifest.nodes}
        rows = {t: rng.permutation(size)[: size - size // 4] for t, size in sizes.items()}
        requests = [HopRequest(e.edge_type, rows[e.edge_type[2]], -1) for e in graph.manifest.edges]
        requests.append(HopRequest(LINK, np.arange(sizes["item"]), -1))
        for one, two in zip(ours.begin_hops(requests, 1).wait(), theirs.begin_hops(requests, 1).wait(), strict=True):
            for name in ("rows", "offsets", "sources", "edge_ids"):
                assert same(getattr(one, name), getattr(two, name))


@needs_dgl
@pytest.mark.parametrize("with_held_out", [False, True])
def test_whole_neighbourhoods_are_those_of_the_local_store(hosts: Hosts, with_held_out: bool) -> None:
    held = ExcludedEdges({LINK: LocalGraph(hosts.folder).edges(LINK, np.arange(0, 30, 3))}) if with_held_out else None
    here, every = hosts.graphs([LINK], held)
    seeds = {"item": np.arange(0, 80, 3), "user": np.arange(here.manifest.node("user").count)}
    mixed = FanoutByType(default=-1, by_edge_type={"item:link:item": 0})
    for there, layers in itertools.product(every, ([ALL, ALL], [mixed], [mixed, ALL])):
        one, two = (g.sample(seeds, layers, np.random.default_rng(4)) for g in (here, there))
        for a, b in zip(edges_of(one), edges_of(two), strict=True):
            assert a == b
            assert len(a) > 20
        for node_type, ids in one.input_ids.items():
            assert set(ids) == set(two.input_ids[node_type])


@needs_dgl
def test_samples_are_subsets_that_repeat_from_their_seed(hosts: Hosts) -> None:
    """Uniform too: each of the neighbours of a node comes as often as the others."""
    here, every = hosts.graphs()
    nodes = {"item": np.arange(80)}
    (whole,) = edges_of(here.sample(nodes, [ALL], np.random.default_rng(0)))
    degrees = Counter((edge_type, target) for edge_type, _, target, _ in whole.elements())
    times: Counter[int] = Counter()
    for seed in range(60):
        made = [list(edges_of(g.sample(nodes, [FanoutByType(default=2)], np.random.default_rng(seed)))) for g in every]
        assert all(one == made[0] for one in made)  # whichever host asks
        (drawn,) = made[0]
        assert drawn <= whole
        taken = Counter((edge_type, target) for edge_type, _, target, _ in drawn.elements())
        assert taken == {key: min(degree, 2) for key, degree in degrees.items()}
        times.update(edge_id for edge_type, _, _, edge_id in drawn if edge_type == "item:link:item")
    busy = [e for t, _, target, e in whole if t == "item:link:item" and degrees[t, target] == 4]
    assert len(busy) >= 8
    assert np.mean([times[e] for e in busy]) == 30.0  # 2 of 4
    assert max(abs(times[e] - 30) for e in busy) < 20  # 5 standard deviations


@needs_dgl
@pytest.mark.parametrize("fanout", [-1, 4])
def test_no_block_holds_a_target_edge(hosts: Hosts, fanout: int) -> None:
    """Compared by end points, forward and reverse. DGL's own exclusion does nothing."""
    _, every = hosts.graphs()
    for there in every:
        leaks = {False: 0, True: 0}
        for step, excluded in itertools.product(range(4), leaks):
            rows = np.random.default_rng(step).choice(there.manifest.edge(LINK).count, 12, replace=False)
            source, target = there.edges(LINK, rows)
            unwanted = set(zip(source.tolist(), target.tolist(), strict=True))
            seeds, exclude = np.unique([source, target]), there.reverse_pairs(LINK, source, target)
            layers, rng = [FanoutByType(default=fanout)] * 2, np.random.default_rng(step)
            made = there.sample({"item": seeds}, layers, rng, exclude if excluded else None)
            for edge_type, *ends, _ in itertools.chain(*edges_of(made)):
                if edge_type in (":".join(LINK), ":".join(LINK_REV)):
                    leaks[excluded] += tuple(ends[:: 1 if edge_type == ":".join(LINK) else -1]) in unwanted
        assert leaks[True] == 0
        assert leaks[False] > 20


@needs_dgl
def test_a_batch_costs_a_message_a_layer_and_host(hosts: Hosts) -> None:
    _, every = hosts.graphs()
    for there in every:
        there.questions._rpc.questions.clear()
        made = there.sample({"item": np.arange(80)}, [ALL, ALL], np.random.default_rng(0))
        pending = [there.begin_gather("item", name, made.input_ids["item"]) for name in ("size", "colour")]
        assert all(len(rows.wait()) for rows in pending)
        assert len(there.questions._rpc.questions) == 3 * (HOSTS - 1)


# ---------------------------------------------------------------------------------------------------------- what is not


def test_a_stranger_is_told_of(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Every refusal says what is at stake."""
    with pytest.raises(LaunchError, match=r"must be private addresses \(got 8.8.8.8\)(.|\n)*perhaps run code"):
        check_addresses(["10.0.0.1", "8.8.8.8"])
    with pytest.raises(LaunchError, match=r"must have IPv4 addresses.*\(got fd00::1\)"):
        check_addresses(["fd00::1"])
    public = Cluster("test", 0, 2, tmp_path, ((("9.9.9.9", 1),), (("10.0.0.2", 1),)), NOBODY, 5.0, store="dgl")
    if importlib.util.find_spec("dgl") is not None:
        with pytest.raises(LaunchError, match=r"got 9.9.9.9(.|\n)*neither authenticated nor encrypted"):
            serve(tmp_path, public, 0, 2)
    monkeypatch.setattr(sys, "version_info", (3, 12, 1))
    with pytest.raises(LaunchError, match=r"must run on Python 3.11 \(got 3.12\)(.|\n)*perhaps run code(.|\n)*own"):
        check_packages()


def test_configurations_that_cannot_be(tmp_path: Path) -> None:
    data = shop_pipeline(tmp_path, tmp_path / "run")
    data["launch"], data["graph"]["partitions"] = {"hosts": 2, "store": "dgl"}, {"count": 2}
    with pytest.raises(ConfigError, match=r"launch.dgl.trusted_network: must be true(.|\n)*perhaps run code"):
        build_pipeline(data)
    data["launch"]["dgl"] = {"trusted_network": True}
    assert build_pipeline(data).launch.uses_dgl
    data["train"]["workers"] = 2
    with pytest.raises(ConfigError, match=r"train.workers: must be 0 with launch.store: dgl \(got 2\)"):
        build_pipeline(data)
    data["launch"] = {"store": "dgl"}  # one host reads its files, whatever the store
    assert not build_pipeline(data).launch.uses_dgl


def test_hosts_are_as_many_as_partitions(shop: tuple[Path, Path], tmp_path: Path) -> None:
    two = Cluster("test", 0, 2, tmp_path, (), NOBODY, 5.0, store="dgl")
    with pytest.raises(LaunchError, match=r"must have a partition for each of 2 hosts \(got 1\).*gsl partition"):
        store_module.DglGraph(shop[1], (), None, two)
