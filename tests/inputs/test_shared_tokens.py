"""Texts whose tokens lie with their nodes on several hosts, and the table of their vectors there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gconstruct.partition import partition_graph
from graphstorm_like.graph.local import LocalGraph
from graphstorm_like.graph.remote.cluster import Cluster
from graphstorm_like.graph.remote.graph import RemoteGraph
from graphstorm_like.graph.schema import text_column
from graphstorm_like.inputs import shared_tokens
from graphstorm_like.inputs.learning_text import AgingVectors, FreshVectors, TablePlace
from graphstorm_like.inputs.shared_tokens import SharedTokens
from graphstorm_like.text.encoder import TextEncoder
from graphstorm_like.text.tokens import Fetched, TokenStore, build_token_store

from ..graph.serving import clusters
from .lockstep import Lockstep, lockstep

HOSTS = 3
Made = dict[int | None, tuple[TokenStore, list[SharedTokens]]]


@pytest.fixture(scope="module")
def hosts(shop: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, list[Cluster]]]:
    folder = tmp_path_factory.mktemp("hosts")
    partition_graph(shop[1], folder / "graph", HOSTS, seed=1)
    with clusters(folder / "graph", folder, HOSTS) as found:
        yield folder / "graph", found


@pytest.fixture(scope="module")
def made(hosts: tuple[Path, list[Cluster]], bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """By the most pieces a text may have (None: cut): (tokens of one machine, tokens as every host sees them)."""
    folder, where = hosts
    graphs = [RemoteGraph(folder, (), None, each) for each in where]
    whole, tokenizer = LocalGraph(folder), TextEncoder.load(bert, dtype="float32").tokenizer
    found: Made = {}
    for chunks, max_tokens in ((None, 12), (3, 7)):

        def build(texts: Any, chunks: int | None = chunks, max_tokens: int = max_tokens) -> TokenStore:
            cache = tmp_path_factory.mktemp("tokens")
            return build_token_store(texts, tokenizer, cache, max_tokens, max_chunks=chunks)

        column = ("item", text_column("title"))
        own = [build(graph.parts[host].column(column)) for host, graph in enumerate(graphs)]
        for store, each in zip(own, where, strict=True):
            shared_tokens._publish(store, each.shm, f"item:tokens-{chunks}")
        starts = np.cumsum([0, *map(len, own)])
        every = [SharedTokens(g, "item", f"tokens-{chunks}", o, starts) for g, o in zip(graphs, own, strict=True)]
        found[chunks] = build(whole.text("item", "title")), every
    return found


def texts_of(fetched: Fetched) -> list[list[list[int]]]:
    """Of every row its pieces' tokens."""
    tokens = fetched.tokens
    found = []
    for text in tokens.row_of_text.tolist():
        flat, offsets = tokens.tokens(tokens.pieces([text])[0])
        found.append([part.tolist() for part in np.split(flat, offsets[1:-1])])
    return found


@pytest.mark.parametrize("chunks", [None, 3])
@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.integers(0, 239), max_size=30))
def test_every_host_reads_any_text(made: Made, chunks: int | None, rows: list[int]) -> None:
    one, every = made[chunks]
    ids = np.array(rows, dtype=np.int64)
    wanted = texts_of(one.begin_fetch(ids).wait())
    for tokens in every:
        fetched = tokens.begin_fetch(ids).wait()
        assert texts_of(fetched) == wanted
        assert tokens.begin_lengths(ids).wait().tolist() == one.lengths_of(ids).tolist()
        assert len(np.unique(fetched.pieces)) == len(fetched.pieces) == len(fetched.tokens)
        assert fetched.pieces.tolist() == every[0].begin_fetch(ids).wait().pieces.tolist()
        pieces, offsets = fetched.tokens.pieces(fetched.tokens.row_of_text)
        if len(ids):
            alone = [tokens.begin_fetch(ids[i : i + 1]).wait().pieces.tolist() for i in range(len(ids))]
            assert [part.tolist() for part in np.split(fetched.pieces[pieces], offsets[1:-1])] == alone


def test_pieces_are_numbered_host_by_host(made: Made) -> None:
    for _, every in made.values():
        starts = every[0].piece_starts
        everything = every[1].begin_fetch(np.arange(240)).wait()
        assert sorted(everything.pieces.tolist()) == list(range(int(starts[-1])))
        for host, tokens in enumerate(every):
            assert starts[host + 1] - starts[host] == len(tokens.own)


@pytest.mark.parametrize("chunks", [None, 3])
def test_fresh_vectors_are_those_of_one_machine(made: Made, encoder: TextEncoder, chunks: int | None) -> None:
    one, every = made[chunks]
    ids = np.random.default_rng(0).integers(240, size=50)
    wanted = FreshVectors(encoder, one, False).rows(ids)
    for tokens in every:
        np.testing.assert_allclose(FreshVectors(encoder, tokens, False).rows(ids), wanted, atol=2e-3)


class Table:
    """What a table should hold, as a dictionary."""

    def __init__(self, size: int) -> None:
        self.value, self.step = [0.0] * size, [0] * size


@pytest.mark.parametrize("trainers", [1, 2])
def test_a_table_over_hosts(hosts: tuple[Path, list[Cluster]], made: Made, encoder: TextEncoder, trainers: int) -> None:
    """Ranks put texts of any host; after the step every rank reads from every host what a table of one process has."""
    tokens, size = made[None][1], int(made[None][1][0].piece_starts[-1])
    rng = np.random.default_rng(trainers)
    puts = [[rng.choice(size, 9, replace=False) for _ in range(HOSTS * trainers)] for _ in range(4)]
    ids = rng.permutation(240)
    piece_of = tokens[0].begin_fetch(ids).wait()
    pieces = piece_of.pieces[piece_of.tokens.row_of_text]

    def work(group: Lockstep) -> list[tuple[list[float], int]]:
        own, where = tokens[group.host], hosts[1][group.host]
        graph = RemoteGraph(hosts[0], (), None, where)
        tokens_of_rank = SharedTokens(graph, "item", "tokens-None", own.own, own.piece_starts)
        start = np.zeros((len(own.own), encoder.dim), dtype=np.float16)
        place = TablePlace(trainers, f"t{trainers}", "item", graph, group, where.shm)
        table = AgingVectors(encoder, tokens_of_rank, False, start, place)
        found = []
        for step, of_ranks in enumerate(puts):
            mine = of_ranks[group.rank]
            table.put(mine, torch.full((9, encoder.dim), float(10 * step + group.rank)))
            table.stepped(step + 1, None)
            rows = table.rows(ids)
            found.append((rows[:, 0].tolist(), table.ages_read()[0]))
            group.barrier("reading")
        return found

    every = lockstep(HOSTS, trainers, work)
    table = Table(size)
    for step, of_ranks in enumerate(puts):
        for rank in reversed(range(len(of_ranks))):  # of equal ones the first rank's
            for piece in of_ranks[rank].tolist():
                table.value[piece], table.step[piece] = float(10 * step + rank), step
        values = [table.value[piece] for piece in pieces.tolist()]
        ages = sum(step + 1 - table.step[piece] for piece in pieces.tolist())
        for found in every:
            assert found[step] == (values, ages)


def test_rows_numbered_by_other_hosts_are_computed_anew(
    hosts: tuple[Path, list[Cluster]], made: Made, encoder: TextEncoder, bert: Path, tmp_path: Path
) -> None:
    """A resume point of one host, read on three: nothing of it fits, so that every row is computed at `at`."""
    one, tokens = made[None]
    start = np.zeros((len(one), encoder.dim), dtype=np.float16)
    (tmp_path / "one").mkdir()
    lockstep(1, 1, lambda group: write(AgingVectors(encoder, one, False, start), tmp_path / "one"))
    ids = np.arange(240)
    wanted = FreshVectors(encoder, one, False).rows(ids)

    def work(group: Lockstep) -> np.ndarray:
        own, where = tokens[group.host], hosts[1][group.host]
        graph = RemoteGraph(hosts[0], (), None, where)
        of_rank = SharedTokens(graph, "item", "tokens-None", own.own, own.piece_starts)
        first = np.zeros((len(own.own), encoder.dim), dtype=np.float16)
        mine = TextEncoder.load(bert, dtype="float32")
        table = AgingVectors(mine, of_rank, False, first, TablePlace(9, "t9", "item", graph, group, where.shm))
        table.load(tmp_path / "one")
        table.at(4)
        rows = table.rows(ids)
        assert table.ages_read() == (0, 240)
        group.barrier("reading")
        return rows

    for rows in lockstep(HOSTS, 1, work):
        np.testing.assert_allclose(rows, wanted, atol=2e-3)


def write(table: AgingVectors, folder: Path) -> None:
    from safetensors.torch import save_file

    save_file(table.state(moments=True), folder / "vectors-9-000000000000.safetensors")
