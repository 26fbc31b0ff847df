"""DistDGL folders of others: what we read of them, and what we refuse."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from gconstruct.dgl import import_dgl
from graphstorm_like.config import build_pipeline
from graphstorm_like.errors import ConfigError, DataError
from graphstorm_like.graph.dgl.export import export_dgl
from graphstorm_like.graph.dgl.module import require_dgl
from graphstorm_like.graph.dgl.tensors import SIDECAR
from graphstorm_like.graph.local import LocalGraph
from graphstorm_like.graph.schema import SPLITS, TARGET_COLUMN
from graphstorm_like.testing.graphs import shop_pipeline

from .dgl_folders import BOUGHT, BUYS, SIMILAR, dgl_partitions, foreign_graph

NUMBERS = ["user:buys:item/number", "item:bought:user/number"]
"""Whole numbers that are features when the user says so."""

pytestmark = [
    pytest.mark.dgl,
    pytest.mark.skipif(importlib.util.find_spec("dgl") is None, reason="needs dgl"),
]


@pytest.mark.parametrize(("count", "method"), [(1, "random"), (2, "random"), (2, "metis")])
def test_a_foreign_folder_keeps_its_edges_and_tensors(tmp_path: Path, count: int, method: str) -> None:
    g, lines = foreign_graph(), []
    config, old, _ = dgl_partitions(tmp_path / "dgl", g, count, method)
    torch.save(old, tmp_path / "dgl" / "node_mapping.pt")
    manifest = import_dgl(
        config,
        tmp_path / "graph",
        lines.append,
        labels=["item/label", "item/stars"],
        leave_out=["user/age"],
        reverse=[("user:buys:item", "item:bought:user")],
    )
    graph = LocalGraph(tmp_path / "graph")
    assert len(manifest.partitions) == count
    assert "user/orig_id is left out: it is DGL's bookkeeping" in lines
    ids = {t: graph.ids(t).to_numpy() for t in ("item", "user")}
    for t, found in ids.items():
        assert sorted(found.tolist()) == list(range(g.num_nodes(t)))
        assert found.tolist() == old[t].tolist()
    for edge_type in (BUYS, BOUGHT, SIMILAR):
        source, target = graph.edges(edge_type)
        got = Counter(zip(ids[edge_type[0]][source].tolist(), ids[edge_type[2]][target].tolist(), strict=True))
        assert got == Counter(zip(*(ends.tolist() for ends in g.edges(etype=edge_type)), strict=True))
    was = g.nodes["item"].data
    for name, width in {"half": 3, "flat": 1, "brain": 2, "grid": 4}.items():
        want = was[name].float().reshape(50, width).numpy()
        np.testing.assert_array_equal(graph.feature("item", name), want[ids["item"]])
    assert manifest.nodes["user"].features == {}
    assert list(manifest.nodes["item"].features) == ["brain", "flat", "grid", "half"]
    assert manifest.nodes["item"].labels["label"].classes == ["0", "1", "2", "3"]
    np.testing.assert_array_equal(graph.label("item", "label"), was["label"].numpy()[ids["item"]])
    np.testing.assert_array_equal(graph.label("item", "stars"), was["stars"].numpy()[ids["item"]])
    for label, labelled in {"label": was["label"] >= 0, "stars": ~was["stars"].isnan()}.items():
        for split, mask in {"train": "train_mask", "valid": "val_mask", "test": "test_mask"}.items():
            want = sorted(torch.nonzero(was[mask].bool() & labelled)[:, 0].tolist())
            assert sorted(ids["item"][graph.label_rows("item", label, split)].tolist()) == want
            assert manifest.nodes["item"].labels[label].counts[split] == len(want)


@pytest.mark.parametrize(("count", "method"), [(1, "random"), (2, "random"), (2, "metis")])
def test_tensors_and_splits_of_foreign_edges(tmp_path: Path, count: int, method: str) -> None:
    g = foreign_graph()
    config, old, _ = dgl_partitions(tmp_path / "dgl", g, count, method)
    torch.save(old, tmp_path / "dgl" / "node_mapping.pt")
    import_dgl(
        config,
        tmp_path / "graph",
        features=NUMBERS,
        leave_out=["item/stars"],
        reverse=[("user:buys:item", "item:bought:user")],
    )
    graph = LocalGraph(tmp_path / "graph", hide=[BUYS])
    ids = {t: graph.ids(t).to_numpy() for t in ("item", "user")}
    was = [ends.numpy() for ends in g.edges(etype=BUYS)]
    for edge_type, step in ((BUYS, 1), (BOUGHT, -1)):
        numbers = graph.feature(edge_type, "number")[:, 0].astype(int)
        assert sorted(numbers.tolist()) == list(range(150))
        ends = [ids[t][e] for t, e in zip(edge_type[::2], graph.edges(edge_type), strict=True)][::step]
        for a, b in zip(ends, was, strict=True):
            np.testing.assert_array_equal(a, b[numbers])
    for split, i in {"train": 0, "valid": 1, "test": 2, "none": 3}.items():
        rows = graph.edge_rows(BUYS, split)
        assert sorted(graph.feature(BUYS, "number")[rows, 0].astype(int) % 4) == [i] * len(rows)
        assert len(rows) == graph.manifest.edge(BUYS).split_counts[split] == len(range(i, 150, 4))
    # What is held out of one direction is no message in the other.
    pairs = [set(), set()]
    for found, edge_type, step in ((pairs[0], BUYS, 1), (pairs[1], BOUGHT, -1)):
        found.update(zip(*(e[graph.hidden_rows(edge_type)].tolist() for e in graph.edges(edge_type)[::step])))
    assert pairs[0] == pairs[1] != set()
    assert sum(graph.degrees(BUYS)) == sum(graph.degrees(BOUGHT)) < 150


def test_a_homogeneous_graph_has_one_type_of_each(tmp_path: Path) -> None:
    g = require_dgl().graph(tuple(torch.from_numpy(np.random.default_rng(3).integers(0, 40, (2, 160)))))
    g.ndata["x"], g.edata["w"] = torch.randn(40, 2), torch.arange(160.0)
    config, old, _ = dgl_partitions(tmp_path / "dgl", g, 2, "metis")
    torch.save(old, tmp_path / "dgl" / "node_mapping.pt")
    import_dgl(config, tmp_path / "graph")
    graph, edge_type = LocalGraph(tmp_path / "graph"), ("_N", "_E", "_N")
    ids = graph.ids("_N").to_numpy()
    np.testing.assert_array_equal(graph.feature("_N", "x"), g.ndata["x"].numpy()[ids])
    numbers = graph.feature(edge_type, "w")[:, 0].astype(int)
    for ends, was in zip(graph.edges(edge_type), g.edges(), strict=True):
        np.testing.assert_array_equal(ids[ends], was.numpy()[numbers])


def test_local_numbers_mean_nothing(foreign: Path, tmp_path: Path) -> None:
    """Other tools than partition_graph may lay the nodes and edges of a partition out in another order."""
    dgl, config = require_dgl(), damaged(foreign, tmp_path / "shuffled")
    for p in range(2):
        path = str(tmp_path / "shuffled" / f"part{p}" / "graph.dgl")
        part = dgl.data.utils.load_graphs(path)[0][0]
        rng = np.random.default_rng(p)
        nodes, edges = (torch.from_numpy(rng.permutation(n)) for n in (part.num_nodes(), part.num_edges()))
        place = torch.argsort(nodes)
        u, v = part.edges(order="eid")
        other = dgl.graph((place[u[edges]], place[v[edges]]), num_nodes=part.num_nodes())
        other.ndata.update({k: t[nodes] for k, t in part.ndata.items()})
        other.edata.update({k: t[edges] for k, t in part.edata.items()})
        dgl.data.utils.save_graphs(path, [other])
    graphs = []
    for source, target in ((foreign, "one"), (config, "other")):
        import_dgl(
            source,
            tmp_path / target,
            features=NUMBERS,
            leave_out=["item/stars"],
            reverse=[("user:buys:item", "item:bought:user")],
        )
        graphs.append(LocalGraph(tmp_path / target))
    for edge_type in (BUYS, BOUGHT, SIMILAR):
        for a, b in zip(*(graph.edges(edge_type) for graph in graphs), strict=True):
            np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(*(graph.feature(BUYS, "number") for graph in graphs))


def test_a_likely_leak_is_told(tmp_path: Path) -> None:
    lines: list[str] = []
    config, *_ = dgl_partitions(tmp_path / "dgl", foreign_graph(), 1, "random")
    manifest = import_dgl(config, tmp_path / "graph", lines.append, leave_out=["item/stars"])
    assert "label" not in manifest.nodes["item"].features
    assert "item/label is left out: it is named like a label; --label takes it for one" in lines
    assert any(line.startswith("user:buys:item has masks: where item:bought:user holds its edges") for line in lines)
    assert "item/train_mask is left out: it is a mask, and no --label is what it splits" in lines
    assert manifest.edge(BUYS).split_counts == {s: len(range((i + 3) % 4, 150, 4)) for i, s in enumerate(SPLITS)}


def test_tokens_and_whole_numbers_are_no_features_unless_the_user_says_so(tmp_path: Path) -> None:
    g, lines = foreign_graph(), []
    tokens = {"input_ids": torch.ones(50, 8, dtype=torch.int64), "attention_mask": torch.ones(50, 8)}
    g.nodes["item"].data.update(tokens | {"venue": torch.arange(50) % 3, "bag": torch.ones(50, 4, dtype=torch.int64)})
    config, *_ = dgl_partitions(tmp_path / "dgl", g, 1, "random")
    manifest = import_dgl(config, tmp_path / "graph", lines.append, leave_out=["item/stars"])
    assert list(manifest.nodes["item"].features) == ["bag", "brain", "flat", "grid", "half"]
    assert manifest.nodes["user"].features == {}
    for name in tokens:
        assert f"item/{name} is left out: tokens are no features; --feature takes them for some" in lines
    for name in ("item/venue", "user/age"):
        why = "whole numbers, one a row, may be classes; --label takes it for a label, --feature for a feature"
        assert f"{name} is left out: {why}" in lines
    chosen = import_dgl(
        config,
        tmp_path / "chosen",
        labels=["item/venue"],
        features=["user/age", "item/attention_mask", "item/label"],
        leave_out=["item/stars"],
    )
    assert chosen.nodes["item"].labels["venue"].classes == ["0", "1", "2"]
    assert chosen.nodes["user"].features["age"].width == 1
    assert {"attention_mask", "label"} <= set(chosen.nodes["item"].features)
    with pytest.raises(ConfigError, match=r"--feature user/aeg: unknown tensor 'aeg'.*Did you mean 'age'"):
        import_dgl(config, tmp_path / "none", features=["user/aeg"])


@pytest.mark.parametrize("labels", [[], ["item/flat"]])
def test_numbers_beyond_float32(tmp_path: Path, labels: list[str]) -> None:
    g = foreign_graph()
    g.nodes["item"].data["flat"][7] = -1e39
    config, *_ = dgl_partitions(tmp_path / "dgl", g, 1, "random")
    with pytest.raises(DataError, match=r"item/flat must be .*float32.* .*1e\+39"):
        import_dgl(config, tmp_path / "graph", labels=labels, leave_out=["item/stars"])


def test_ids_of_graphstorm_come_back(tmp_path: Path) -> None:
    g = foreign_graph()
    config, old, _ = dgl_partitions(tmp_path / "dgl", g, 2, "random")
    for t in ("item", "user"):
        (tmp_path / "raw" / t).mkdir(parents=True)
        numbers = np.random.default_rng(1).permutation(g.num_nodes(t))
        table = pa.table({"orig": [f"{t}-{i}" for i in numbers], "new": numbers})
        pq.write_table(table[:20], tmp_path / "raw" / t / "part-00000.parquet")
        pq.write_table(table[20:], tmp_path / "raw" / t / "part-00001.parquet")
    with pytest.raises(DataError, match=r"ids before partitioning must be known .*orig_nids\.dgl"):
        import_dgl(config, tmp_path / "graph", leave_out=["item/stars"], id_mapping=tmp_path / "raw")
    for p in range(2):
        parts = {t: old[t][slice(*_range(config, t, p))] for t in old}
        require_dgl().data.utils.save_tensors(str(tmp_path / "dgl" / f"part{p}" / "orig_nids.dgl"), parts)
    import_dgl(config, tmp_path / "graph", leave_out=["item/stars"], id_mapping=tmp_path / "raw")
    graph = LocalGraph(tmp_path / "graph")
    for t in old:
        assert graph.manifest.nodes[t].id_type == "string"
        assert graph.ids(t).to_pylist() == [f"{t}-{i}" for i in old[t].tolist()]
    shutil.copytree(tmp_path / "raw", tmp_path / "dgl" / "raw_id_mappings")
    import_dgl(config, tmp_path / "found", leave_out=["item/stars"])
    assert LocalGraph(tmp_path / "found").ids("item").equals(graph.ids("item"))
    (tmp_path / "raw" / "item" / "part-00001.parquet").unlink()
    with pytest.raises(DataError, match="must have an id for every node of item .got none for 30, e.g. number"):
        import_dgl(config, tmp_path / "again", leave_out=["item/stars"], id_mapping=tmp_path / "raw")


def _range(config: Path, node_type: str, p: int) -> tuple[int, int]:
    """Ids of a type in a partition, counted in the type."""
    ranges = np.array(json.loads(config.read_text())["node_map"][node_type])
    ends = np.cumsum(ranges[:, 1] - ranges[:, 0])
    return int(ends[p] - (ranges[p, 1] - ranges[p, 0])), int(ends[p])


# ----------------------------------------------------------------------------------------------------- what is wrong


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dgl_partitions(tmp_path_factory.mktemp("foreign") / "dgl", foreign_graph(), 2, "random")[0]


def damaged(config: Path, folder: Path) -> Path:
    """A copy to be spoilt."""
    shutil.copytree(config.parent, folder)
    return folder / config.name


def edit(config: Path, change: Any) -> None:
    content = json.loads(config.read_text())
    change(content)
    config.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.pop("node_map"), "must be a partition configuration of DGL .got no node_map"),
        (lambda c: c.update(num_parts=0), "num_parts must be a whole number of at least 1"),
        (lambda c: c.update(num_nodes=81), "num_nodes must be 80, as node_map says .got 81"),
        (
            lambda c: c["node_map"]["user"][1].__setitem__(0, 3),
            "node_map of user in part-1 must be a range that begins",
        ),
        (lambda c: c["edge_map"].pop("item:similar:item"), "edge_map must be ranges of ids for each type"),
        (lambda c: c["node_map"].update(user=[10, 30]), r"node_map of user must be \[start, end\] for each of the 2"),
        (lambda c: c.update(etypes={"buys": 0, "bought": 1, "similar": 2}), "must be 'source:relation:target' .*1.0"),
        (lambda c: c.update(ntypes={"item": 0, "user": 2}), "ntypes must be names with the numbers 0, 1, 2"),
        (lambda c: c.pop("part-1"), "part-1 must be the names of its files"),
        (lambda c: c["part-0"].update(part_graph="nothing.dgl"), r"nothing\.dgl: must be there"),
        (lambda c: c["part-0"].update(part_graph="part1/graph.dgl"), "inner nodes must be 0 to .*each once"),
    ],
)
def test_configurations_that_do_not_fit(foreign: Path, tmp_path: Path, change: Any, message: str) -> None:
    config = damaged(foreign, tmp_path / "bad")
    edit(config, change)
    with pytest.raises(DataError, match=message):
        import_dgl(config, tmp_path / "graph", leave_out=["item/stars"])
    assert not (tmp_path / "graph").exists()


def spoil(path: Path, name: str, change: Any) -> None:
    dgl = require_dgl()
    tensors = dgl.data.utils.load_tensors(str(path))
    tensors[name] = change(tensors[name])
    dgl.data.utils.save_tensors(str(path), {name: t for name, t in tensors.items() if t is not None})


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("item/half", lambda t: t[1:], r"item/half must have \d+ rows"),
        ("item/half", lambda t: t[:, :1], "item/half must be alike in all partitions"),
        ("item/half", lambda t: None, "item/half must be in all partitions .got none in part-0"),
        ("item/label", lambda t: t.reshape(-1, 1).repeat(1, 2), "alike in all partitions"),
        ("item/train_mask", lambda t: t * 2, "item/train_mask must be a mask: one 0 or 1 a row"),
        ("item/train_mask", lambda t: t * 0 + 1, "masks of item must not overlap"),
        ("item/stars", lambda t: t / 0, "item/stars must be finite, or NaN for no label"),
    ],
)
def test_tensors_that_do_not_fit(foreign: Path, tmp_path: Path, name: str, change: Any, message: str) -> None:
    config = damaged(foreign, tmp_path / "bad")
    spoil(tmp_path / "bad" / "part0" / "node_feat.dgl", name, change)
    with pytest.raises(DataError, match=message):
        import_dgl(config, tmp_path / "graph", labels=["item/label", "item/stars"])
    assert not (tmp_path / "graph").exists()


def test_bytes_that_are_no_dgl_file(foreign: Path, tmp_path: Path) -> None:
    for file in ("graph.dgl", "node_feat.dgl"):
        config = damaged(foreign, tmp_path / file)
        (tmp_path / file / "part1" / file).write_bytes(os.urandom(4096))
        with pytest.raises(DataError, match=rf"part1/{file}: must be a file as DGL writes it"):
            import_dgl(config, tmp_path / "graph", leave_out=["item/stars"])


def test_a_pickle_is_not_run(foreign: Path, tmp_path: Path) -> None:
    config = damaged(foreign, tmp_path / "bad")
    torch.save(Trap(str(tmp_path / "ran")), tmp_path / "bad" / "node_mapping.pt")
    with pytest.raises(DataError, match=r"node_mapping\.pt: must be a file as DGL writes it"):
        import_dgl(config, tmp_path / "graph", leave_out=["item/stars"])
    assert not (tmp_path / "ran").exists()


class Trap:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (os.mkdir, (self.path,))


def test_words_that_are_not_there(foreign: Path, tmp_path: Path) -> None:
    target = tmp_path / "graph"
    with pytest.raises(ConfigError, match=r"--label itm/label: unknown type 'itm'.*Did you mean 'item'"):
        import_dgl(foreign, target, labels=["itm/label"])
    with pytest.raises(ConfigError, match=r"--label item/lable: unknown tensor 'lable'.*Did you mean 'label'"):
        import_dgl(foreign, target, labels=["item/lable"])
    with pytest.raises(ConfigError, match="unknown edge type 'user:sells:item'"):
        import_dgl(foreign, target, leave_out=["item/stars"], reverse=[("user:sells:item", "item:bought:user")])
    with pytest.raises(ConfigError, match="must be two edge types with swapped ends"):
        import_dgl(foreign, target, leave_out=["item/stars"], reverse=[("user:buys:item", "item:similar:item")])
    with pytest.raises(DataError, match=r"item/stars must be finite .got 10 values that are NaN .*--label item/stars"):
        import_dgl(foreign, target)
    with pytest.raises(DataError, match=r"nothing\.json: it must be the JSON file"):
        import_dgl(foreign.with_name("nothing.json"), target)
    target.mkdir()
    (target / "mine.txt").touch()
    with pytest.raises(DataError, match="must not exist yet"):
        import_dgl(foreign, target)


def test_reverse_types_must_hold_the_same_edges(tmp_path: Path) -> None:
    g = foreign_graph()
    g.remove_edges(torch.tensor([3]), etype="bought")
    g.add_edges(torch.tensor([0]), torch.tensor([0]), {"number": torch.tensor([3])}, etype="bought")
    config, *_ = dgl_partitions(tmp_path / "dgl", g, 1, "random")
    with pytest.raises(DataError, match="must hold the same edges, ends swapped"):
        import_dgl(
            config, tmp_path / "graph", leave_out=["item/stars"], reverse=[("user:buys:item", "item:bought:user")]
        )
    assert not (tmp_path / "graph").exists()


def test_an_exported_folder_needs_no_words(parted: dict[int, Path], tmp_path: Path) -> None:
    config = export_dgl(parted[1], tmp_path / "dgl")
    with pytest.raises(ConfigError, match="--label, --leave-out, --reverse and --id-mapping must not be given"):
        import_dgl(config, tmp_path / "graph", labels=["item/kind"])
    sidecar = tmp_path / "dgl" / SIDECAR
    sidecar.write_text(sidecar.read_text().replace('"count": 240', '"count": 241'))
    with pytest.raises(DataError, match="must be of the graph of graph.json"):
        import_dgl(config, tmp_path / "graph")
    sidecar.unlink()
    manifest = import_dgl(
        config,
        tmp_path / "graph",
        labels=["item/kind"],
        leave_out=["item/rating", "item:similar:item/gap", "item:similar_rev:item/gap"],
    )
    graph, ours = LocalGraph(tmp_path / "graph"), LocalGraph(parted[1])
    np.testing.assert_array_equal(graph.label("item", "kind"), ours.label("item", "kind"))
    for split in ("train", "valid", "test"):
        rows = graph.label_rows("item", "kind", split).tolist()
        assert rows == ours.label_rows("item", "kind", split).tolist()
    assert manifest.nodes["item"].id_type == "int64"
    assert graph.parts[0].column((SIMILAR, TARGET_COLUMN)).tolist() == ours.edges(SIMILAR)[1].tolist()


def test_from_the_command_line(parted: dict[int, Path], tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from graphstorm_like.cli.main import app

    def gsl(*words: object) -> Any:
        return CliRunner().invoke(app, [str(word) for word in words])

    out = gsl("export", "--to", "dgl", parted[3], tmp_path / "dgl", "--name", "shop")
    assert out.exit_code == 0, out.output
    assert "in 3 partitions, DistGraph('shop')" in out.output
    out = gsl("import", "--from", "dgl", tmp_path / "dgl" / "shop.json", tmp_path / "graph")
    assert out.exit_code == 0, out.output
    assert len(LocalGraph(tmp_path / "graph").parts) == 3
    out = gsl("import", "--from", "dgl", tmp_path / "dgl" / "shop.json", tmp_path / "g", "--reverse", "user:buys:item")
    assert isinstance(out.exception, ConfigError)


@pytest.mark.slow
def test_a_foreign_folder_is_trained_on(tmp_path: Path) -> None:
    from graphstorm_like.launch.stages import run_pipeline
    from graphstorm_like.launch.state import STAGES
    from graphstorm_like.progress import Reporter

    config, *_ = dgl_partitions(tmp_path / "dgl", foreign_graph(), 2, "random")
    import_dgl(
        config,
        tmp_path / "graph",
        labels=["item/label", "item/stars"],
        reverse=[("user:buys:item", "item:bought:user")],
    )
    data = shop_pipeline(tmp_path, tmp_path / "run")
    data["graph"] = {"path": str(tmp_path / "graph")}
    data["task"]["label"] = "label"
    del data["model"]["inputs"]["item"]["text"]
    run_pipeline(build_pipeline(data).with_absolute_paths(tmp_path), STAGES, fresh=False, reporter=Reporter(quiet=True))
    predicted = pq.read_table(tmp_path / "run" / "infer" / "predictions")
    assert predicted.num_rows == 50
