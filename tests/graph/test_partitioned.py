"""A graph answers the same from one partition and from several: compared by the users' ids."""

from __future__ import annotations

import json
import pickle
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gconstruct.partition import partition_graph
from graphstorm_like.config.base import EdgeType, edge_name
from graphstorm_like.config.train import FanoutByType
from graphstorm_like.graph.local import LocalGraph
from graphstorm_like.graph.partition_report import partition_report
from graphstorm_like.graph.store import ExcludedEdges, Subgraph
from graphstorm_like.launch.show.graph import show_graph

from ..gconstruct.partitioning import LINK, LINK_REV, random_graph

ALL = FanoutByType(default=-1)
COUNTS = (1, 2, 3)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """One graph: as it was built (0), and in so many partitions. Users are fewer than partitions in the last."""
    folder = tmp_path_factory.mktemp("graphs")
    made = {0: random_graph(folder / "tables", 5, items=60)}
    for count in (*COUNTS, 9):
        made[count] = folder / f"in-{count}"
        partition_graph(made[0], made[count], count, seed=1)
    return made


@pytest.fixture(params=[*COUNTS, 9])
def both(request: pytest.FixtureRequest, folders: dict[int, Path]) -> tuple[Path, Path]:
    return folders[0], folders[request.param]


def names(graph: LocalGraph, node_type: str) -> np.ndarray:
    return np.array(graph.ids(node_type).to_pylist(), dtype=object)


def messages(graph: LocalGraph, made: Subgraph) -> Counter[Any]:
    """(layer, edge type, source id, target id, number) of every edge of the blocks. Ids and edge ids must agree."""
    found: Counter[Any] = Counter()
    for layer, block in enumerate(made.blocks):
        for edge_type, relation in block.relations.items():
            near, far = edge_type[0], edge_type[2]
            source = made.input_ids[near][: block.num_src[near]][relation.sources]
            at = np.repeat(relation.rows, np.diff(relation.offsets))
            target = made.input_ids[far][: block.num_dst[far]][at]
            ends = graph.edges(edge_type, relation.edge_ids)
            assert (ends[0].tolist(), ends[1].tolist()) == (source.tolist(), target.tolist())
            number = np.zeros(len(source))
            if edge_type in (LINK, LINK_REV):
                number = graph.gather(edge_type, "number", relation.edge_ids)[:, 0]
            ids = names(graph, near)[source], names(graph, far)[target]
            found.update(zip([layer] * len(at), [edge_type] * len(at), *ids, number.tolist(), strict=True))
    return found


def seeds_of(graph: LocalGraph, ids: list[str]) -> dict[str, np.ndarray]:
    place = {name: i for i, name in enumerate(names(graph, "item"))}
    return {"item": np.array([place[i] for i in ids]), "user": np.arange(graph.manifest.node("user").count)}


def numbers(graph: LocalGraph, edge_type: EdgeType, rows: np.ndarray) -> list[tuple[Any, Any, float]]:
    """Edges by the users' ids, with the number that tells parallels apart; sorted."""
    source, target = graph.edges(edge_type, rows)
    near, far = names(graph, edge_type[0])[source], names(graph, edge_type[2])[target]
    return sorted(zip(near, far, graph.gather(edge_type, "number", rows)[:, 0].tolist(), strict=True))


# -------------------------------------------------------------------------------------------------------------- columns


def test_nodes_carry_what_they_carried(both: tuple[Path, Path]) -> None:
    one, several = map(LocalGraph, both)
    for graph in (one, several):
        assert graph.manifest.num_nodes == sum(len(graph.ids(t)) for t in graph.manifest.nodes)
    rows = []
    for graph in (one, several):
        ids, n = names(graph, "item"), graph.manifest.node("item").count
        some = np.random.default_rng(0).permutation(n)
        columns = [
            graph.text("item", "title").to_pylist(),
            graph.feature("item", "size")[:, 0].tolist(),
            graph.gather("item", "colour", np.arange(n)).tolist(),
            graph.label("item", "kind").tolist(),
            [repr(v) for v in graph.label("item", "score")],
        ]
        assert graph.ids_of("item", some).to_pylist() == ids[some].tolist()
        assert graph.gather("item", "size", some).tolist() == graph.feature("item", "size")[some].tolist()
        rows.append(dict(zip(ids, zip(*columns, strict=True), strict=True)))
    assert rows[0] == rows[1]
    for split in ("train", "valid", "test"):
        found = [set(names(g, "item")[g.label_rows("item", "kind", split)]) for g in (one, several)]
        assert found[0] == found[1] != set()
    assert sorted(one.ids("user").to_pylist()) == sorted(several.ids("user").to_pylist())


def test_edges_carry_what_they_carried(both: tuple[Path, Path]) -> None:
    one, several = map(LocalGraph, both)
    for edge_type in (LINK, LINK_REV):
        every = np.arange(one.manifest.edge(edge_type).count)
        assert numbers(one, edge_type, every) == numbers(several, edge_type, every)
        for split in ("train", "valid", "test"):
            found = [numbers(g, edge_type, g.edge_rows(edge_type, split)) for g in (one, several)]
            assert found[0] == found[1] != []
            found = [numbers(g, edge_type, g.edge_label_rows(edge_type, "gap", split)) for g in (one, several)]
            assert found[0] == found[1] != []
        of = [
            dict(zip(g.gather(edge_type, "number", every)[:, 0].tolist(), g.text(edge_type, "note").to_pylist()))
            for g in (one, several)
        ]
        assert of[0] == of[1]


# ------------------------------------------------------------------------------------------------------- neighbourhoods


@pytest.mark.parametrize("hide", [(), (LINK,), {LINK: "gap"}], ids=["all", "split", "label"])
def test_whole_neighbourhoods_are_the_same(both: tuple[Path, Path], hide: Any) -> None:
    found = []
    ids = names(LocalGraph(both[0]), "item")[::4].tolist()
    for folder in both:
        graph = pickle.loads(pickle.dumps(LocalGraph(folder, hide=hide)))
        made = graph.sample(seeds_of(graph, ids), [ALL, ALL], np.random.default_rng(0))
        inputs = {t: sorted(names(graph, t)[i]) for t, i in made.input_ids.items()}
        degrees = {
            edge_name(e.edge_type): dict(zip(names(graph, e.edge_type[2]), graph.degrees(e.edge_type).tolist()))
            for e in graph.manifest.edges
        }
        hidden = numbers(graph, LINK, graph.hidden_rows(LINK))
        found.append((messages(graph, made), inputs, degrees, hidden))
    assert found[0] == found[1]
    assert len(found[0][0]) > 50
    assert bool(found[0][3]) == bool(hide)


def test_edges_that_are_held_out_are_so_everywhere(both: tuple[Path, Path]) -> None:
    found = []
    for folder in both:
        graph = LocalGraph(folder)
        place = {name: i for i, name in enumerate(names(graph, "item"))}
        source, target = LocalGraph(both[0]).edges(LINK, np.arange(0, 40, 3))
        ids = names(LocalGraph(both[0]), "item")
        ends = tuple(np.array([place[i] for i in ids[of]]) for of in (source, target))
        graph = LocalGraph(folder, held_out=ExcludedEdges({LINK: ends}))
        found.append([numbers(graph, t, graph.hidden_rows(t)) for t in (LINK, LINK_REV)])
    assert found[0] == found[1]
    assert len(found[0][0]) == len(found[0][1]) >= 14


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("fanout", [-1, 5])
def test_no_block_holds_a_target_edge(folders: dict[int, Path], count: int, fanout: int) -> None:
    """An edge and its reverse lie in different partitions and have different ids: only ends tell them."""
    graph = LocalGraph(folders[count], hide=[LINK])
    train = graph.edge_rows(LINK, "train")
    fanouts, leaks = [FanoutByType(default=fanout)] * 2, 0
    for step in range(5):
        rows = np.random.default_rng(step).choice(train, 10, replace=False)
        ends = graph.edges(LINK, rows)
        targets = set(zip(*(names(graph, "item")[of] for of in ends), strict=True))
        seeds = {"item": np.unique(np.concatenate(ends))}

        def leaking(exclude: ExcludedEdges | None, seeds: Any = seeds, targets: Any = targets, step: int = step) -> int:
            made = graph.sample(seeds, fanouts, np.random.default_rng(step), exclude)
            return sum(
                number
                for (_, edge_type, source, target, _), number in messages(graph, made).items()
                if (edge_type == LINK and (source, target) in targets)
                or (edge_type == LINK_REV and (target, source) in targets)
            )

        leaks += leaking(None)
        assert leaking(graph.reverse_pairs(LINK, *ends)) == 0
    assert leaks > 50


def test_sampled_neighbours_are_neighbours_and_drawn_from_the_stream(folders: dict[int, Path]) -> None:
    graph, fanouts = LocalGraph(folders[3]), [FanoutByType(default=2)]
    seeds = {"item": np.arange(60)}
    one, two, other = (messages(graph, graph.sample(seeds, fanouts, np.random.default_rng(s))) for s in (1, 1, 2))
    whole = messages(graph, graph.sample(seeds, [ALL], np.random.default_rng(0)))
    assert one == two != other
    assert one <= whole
    wanted = Counter({key: min(2, n) for key, n in Counter((k[1], k[3]) for k in whole.elements()).items()})
    assert Counter((k[1], k[3]) for k in one.elements()) == wanted


# --------------------------------------------------------------------------------------------------------------- report


def test_the_report_counts(folders: dict[int, Path]) -> None:
    graph, report = LocalGraph(folders[3]), partition_report(folders[3])
    counts = {name: node.count for name, node in graph.manifest.nodes.items()}
    assert {name: sum(of) for name, of in report.nodes.items()} == counts
    local = total = 0
    for edge in graph.manifest.edges:
        source, target = graph.edges(edge.edge_type)
        of, to = (
            np.searchsorted(graph.starts(t), ids, side="right") - 1
            for t, ids in ((edge.edge_type[0], source), (edge.edge_type[2], target))
        )
        name = edge_name(edge.edge_type)
        assert report.edges[name] == np.bincount(to, minlength=3).tolist()
        assert report.local[name] == np.bincount(to[of == to], minlength=3).tolist()
        local, total = local + int((of == to).sum()), total + len(of)
    assert report.local_share() == local / total
    assert report.local_share(edge_name(LINK)) == sum(report.local["item:link:item"]) / len(graph.edges(LINK)[0])
    assert np.isnan(report.local_share("user:knows:user"))
    whole = partition_report(folders[1])
    assert (whole.local_share(), whole.local) == (1.0, whole.edges)


def test_the_report_counts_halo_training_rows_and_bytes(folders: dict[int, Path]) -> None:
    graph, report = LocalGraph(folders[3]), partition_report(folders[3])
    halo: dict[tuple[str, int], set[int]] = {}
    cut = edges = 0
    for edge in graph.manifest.edges:
        source, target = graph.edges(edge.edge_type)
        starts = graph.starts(edge.edge_type[0]), graph.starts(edge.edge_type[2])
        of, to = (np.searchsorted(at, ids, side="right") - 1 for at, ids in zip(starts, (source, target), strict=True))
        if not edge.is_reverse:
            cut, edges = cut + int((of != to).sum()), edges + len(of)
        for p in range(3):
            halo.setdefault((edge.edge_type[0], p), set()).update(source[(to == p) & (of != p)].tolist())
    assert report.halo == {t: [len(halo.get((t, p), ())) for p in range(3)] for t in graph.manifest.nodes}
    assert report.cut == pytest.approx(cut / edges)
    assert report.bytes == [part.bytes for part in graph.manifest.partitions]
    rows = set(graph.label_rows("item", "kind", "train").tolist())
    rows |= set(graph.label_rows("item", "score", "train").tolist())
    assert report.training["item"] == [len(at) for at in graph.split("item", np.array(sorted(rows)))]
    links = graph.edge_rows(LINK, "train")
    assert sum(report.training["item:link:item"]) == len(links)
    assert "item:link_rev:item" not in report.training
    balance = report.balance()
    assert balance["nodes:item"] == max(report.nodes["item"]) * 3 / sum(report.nodes["item"])
    assert balance["edges"] == max(report.totals(report.edges)) * 3 / sum(report.totals(report.edges))
    whole = partition_report(folders[1])
    assert (whole.cut, whole.totals(whole.halo), set(whole.balance().values())) == (0.0, [0], {1.0})


def test_the_report_as_json_is_plain(folders: dict[int, Path]) -> None:
    report = partition_report(folders[3])
    data = json.loads(json.dumps(report.as_json(), allow_nan=False))
    assert (data["partitions"], data["cut"], data["halo"]) == (3, report.cut, report.halo)
    assert data["remote"] == 1 - report.local_share()


def test_show_graph_tells_of_the_partitions(folders: dict[int, Path]) -> None:
    text, report = "\n".join(show_graph(folders[3])), partition_report(folders[3])
    assert "3 partition(s)" in text
    assert f"{100 * report.local_share():.1f}%" in text
    assert " + ".join(str(n) for n in report.edges["item:link:item"]) in text
    assert "local: share of the edges" in text
    assert "local" not in "\n".join(show_graph(folders[1]))
