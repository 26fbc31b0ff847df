"""Links of several relations: both ends ranked, means, answers by relation, and the same on any number of ranks."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from graphstorm_like.config import Pipeline
from graphstorm_like.config.inverses import inverse_of, is_inverse, stored
from graphstorm_like.errors import ConfigError, DataError
from graphstorm_like.inference.rows import asked_rows
from graphstorm_like.launch.stages import read_scores, run_pipeline
from graphstorm_like.progress import Reporter
from graphstorm_like.sampling.batch import LinkTargets, link_parts
from graphstorm_like.sampling.loader import epoch_batches
from graphstorm_like.tasks import Evaluation, LinksOfRelations
from graphstorm_like.tasks.outputs import Asked
from graphstorm_like.tasks.ranking import Ranks
from graphstorm_like.testing import ranks
from graphstorm_like.training.experiment import Experiment, build_experiment
from graphstorm_like.training.trainer import Trainer

QUIET = Reporter(quiet=True)
BUYS, SIMILAR = ("user", "buys", "item"), ("item", "similar", "item")
BUYERS, OF_SIMILAR = inverse_of(BUYS), inverse_of(SIMILAR)


@pytest.fixture
def relations(shop_config: Callable[..., Pipeline]) -> Callable[..., Pipeline]:
    """A function of settings of the task -> a pipeline over both relations of the shop. `buys` has no split."""

    def make(task: dict[str, Any] | None = None, **changes: Any) -> Pipeline:
        base = {"edge_type": None, "edge_types": "all", "head": {"type": "complex"}, "ends": "both"}
        return shop_config("link_prediction", task={**base, **(task or {})}, **changes)

    return make


def made(config: Pipeline) -> tuple[Experiment, LinksOfRelations]:
    experiment = build_experiment(config, QUIET)
    assert isinstance(experiment.task, LinksOfRelations)
    return experiment, experiment.task


def test_relations_and_their_parameters(relations: Callable[..., Pipeline]) -> None:
    for ends, directed, parameters in (("targets", 2, 2), ("both", 4, 2), ("reciprocal", 4, 4)):
        _, task = made(relations({"ends": ends}))
        assert task.directed == [BUYS, SIMILAR, BUYERS, OF_SIMILAR][:directed]
        assert task.head.get_parameter("relations").shape[0] == len(task.relations) == parameters
        assert len(task.rows("train")) == directed // 2 * (960 + len(task.graph.edge_rows(SIMILAR, "train")))
        assert task.protocol["ends"] == ends
    assert (inverse_of(BUYS), stored(BUYERS), is_inverse(BUYS)) == (("item", "buys^-1", "user"), BUYS, False)


def test_neither_an_edge_to_learn_nor_its_twin_passes_messages(relations: Callable[..., Pipeline]) -> None:
    """Over a whole epoch with all neighbours: what is asked in either direction, and all held-out edges."""
    experiment, task = made(relations({"ends": "reciprocal"}, train={"fanouts": [-1, -1], "batch_size": 256}))
    held = {e: np.concatenate([task._rows[s][e] for s in ("valid", "test")]) for e in (BUYS, SIMILAR)}
    asked_in_all = 0
    for batch in epoch_batches(experiment.learner.batches(), task.stream(256, 0), 0):
        assert isinstance(batch.targets, LinkTargets)
        banned = {e: set(zip(*(x.tolist() for x in experiment.graph.edges(e, rows)))) for e, rows in held.items()}
        for part in link_parts(batch.targets):
            source, _, target = part.edge_type
            sources = batch.seeds[source][part.sources].tolist()
            pool = batch.seeds[target][batch.targets.pools[target].mine]
            asked = list(zip(sources, part.candidates(pool)[: len(sources)].tolist(), strict=True))
            asked_in_all += len(asked)
            banned[stored(part.edge_type)] |= {(b, a) for a, b in asked} if is_inverse(part.edge_type) else set(asked)
        ids = {t: i.numpy() for t, i in batch.input_ids.items()}
        for edge_type in (BUYS, SIMILAR):
            for way in (edge_type, (edge_type[2], f"{edge_type[1]}_rev", edge_type[0])):
                for block in batch.blocks:
                    r = block.relations[way]
                    to = ids[way[2]][np.repeat(r.rows.numpy(), np.diff(r.offsets.numpy()))].tolist()
                    of = ids[way[0]][r.sources.numpy()].tolist()
                    assert not set(zip(of, to) if way == edge_type else zip(to, of)) & banned[edge_type]
    assert asked_in_all == len(task.rows("train"))


@pytest.mark.parametrize("exclude_source", [True, False])
def test_both_ends_are_ranked_filtered(relations: Callable[..., Pipeline], exclude_source: bool) -> None:
    """Against a loop over all candidates; the means are those of the ranks."""
    task_settings = {"ranking": {"candidates": "all", "exclude_source": exclude_source}, "metrics": ["mrr", "amri"]}
    experiment, task = made(relations(task_settings))
    found: dict[tuple[str, str, str], Ranks] = {}
    how = Evaluation("layer_wise", (), 0, lambda split, e, rows, ranks: found.update({e: ranks}))
    scores = task.evaluate(experiment.embedder(), "test", how)
    assert set(found) == {SIMILAR, OF_SIMILAR}  # buys has no split: it is learnt alone
    kept = {edge_type: ranks.rank for edge_type, ranks in found.items()}
    vectors = torch.from_numpy(np.asarray(experiment.embedder().layer_wise(["item"])["item"]))
    source, target = (end.tolist() for end in experiment.graph.edges(SIMILAR))
    true = set(zip(source, target, strict=True))
    with torch.inference_mode():
        table = task.head.scores(vectors, vectors, SIMILAR).numpy()
    for at, row in enumerate(task._rows["test"][SIMILAR].tolist()):
        s, t = source[row], target[row]
        targets = [n for n in range(240) if (s, n) not in true and not (exclude_source and n == s)]
        sources = [n for n in range(240) if (n, t) not in true and not (exclude_source and n == t)]
        assert kept[SIMILAR][at] == pytest.approx(1 + np.sum(table[s, targets] > table[s, t] + 1e-6), abs=1)
        assert found[SIMILAR].candidates[at] == 1 + len(targets)
        assert found[OF_SIMILAR].candidates[at] == 1 + len(sources)
        assert kept[OF_SIMILAR][at] == pytest.approx(1 + np.sum(table[sources, t] > table[s, t] + 1e-6), abs=1)
    both = np.concatenate([kept[SIMILAR], kept[OF_SIMILAR]])
    assert scores["mrr"] == pytest.approx(np.mean(1 / both))
    assert scores["mrr/sources"] == pytest.approx(np.mean(1 / kept[OF_SIMILAR]))
    by_chance = np.concatenate([ranks.candidates + 1 for ranks in found.values()]).mean() / 2
    assert scores["amri"] == pytest.approx(1 - (both.mean() - 1) / (by_chance - 1))


def test_means_over_edges_and_over_relations(relations: Callable[..., Pipeline]) -> None:
    given = {BUYS: np.array([1.0, 1.0, 1.0]), SIMILAR: np.array([2.0]), BUYERS: np.full(3, 4.0)}
    ranks_of = {edge_type: Ranks(ranks, np.full(len(ranks), 9.0)) for edge_type, ranks in given.items()}
    for average, plain in (("micro", (3 + 0.5 + 0.75) / 7), ("macro", (1 + 0.5 + 0.25) / 3)):
        _, task = made(relations({"average": average, "metrics": ["mrr"]}))
        scores = task.summary(ranks_of)
        assert scores == pytest.approx(
            {
                "mrr": plain,
                "mrr/micro": (3 + 0.5 + 0.75) / 7,
                "mrr/macro": (1 + 0.5 + 0.25) / 3,
                "mrr/targets": 3.5 / 4,
                "mrr/sources": 0.25,
                "mrr/user:buys:item": 1.0,
                "mrr/item:similar:item": 0.5,
                "mrr/item:buys^-1:user": 0.25,
            }
        )


@pytest.mark.parametrize("kind", ["link_prediction", "graph_pretraining"])
def test_one_relation_selects(
    relations: Callable[..., Pipeline],
    shop_config: Callable[..., Pipeline],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    """The best epoch is that of its own score, whatever the mean does; a relation without such a score is refused."""
    make = relations if kind == "link_prediction" else partial(shop_config, kind)
    train = {"epochs": 3, "early_stop": None, "batch_size": 2000}
    name = "mrr/item:similar:item"
    experiment = build_experiment(make(task={"select_by": name, "metrics": ["hits@3", "mrr"]}, train=train), QUIET)
    trainer = Trainer(experiment, tmp_path / "train", QUIET)
    scores = iter([{"mrr": 0.1, name: 0.2}, {"mrr": 0.2, name: 0.5}, {"mrr": 0.9, name: 0.4}])
    monkeypatch.setattr(type(trainer.task), "evaluate", lambda *_: next(scores))
    result = trainer.train()
    assert (result.best, result.best_epoch) == (0.5, 2)
    with pytest.raises(
        ConfigError, match=r"select_by: unknown relation of the task 'item:similr:item'.*'item:similar:"
    ):
        make(task={"select_by": "mrr/item:similr:item"})
    with pytest.raises(ConfigError, match=r"select_by: must be one of task\.metrics, 'mrr' \(got 'hits@3/macro'\)"):
        make(task={"select_by": "hits@3/macro", "metrics": ["mrr"]})


def test_what_may_select(relations: Callable[..., Pipeline], shop_config: Callable[..., Pipeline]) -> None:
    experiment, task = made(relations({"select_by": "mrr/item:similar^-1:item"}))
    assert task.select_by in task.evaluate(experiment.embedder(), "valid", task.evaluation([], 0))
    with pytest.raises(DataError, match=r"relation user:buys:item must have edges to validate on for task\.select_by"):
        made(relations({"select_by": "mrr/user:buys:item"}))
    with pytest.raises(
        ConfigError, match=r"unknown relation of the task 'sources' \(known: item:similar:item, macro, micro"
    ):
        relations({"ends": "targets", "select_by": "mrr/sources"})
    with pytest.raises(ConfigError, match=r"select_by: must be one of task\.metrics"):
        shop_config("link_prediction", task={"select_by": "mrr/item:similar:item"})


def test_n3_adds_the_cubes_of_an_edge_s_factors(relations: Callable[..., Pipeline]) -> None:
    losses = {}
    for n3 in (0.0, 0.5):
        experiment, task = made(relations({"n3": n3, "head": {"type": "complex", "normalize": False}}))
        batch = next(epoch_batches(experiment.learner.batches(), task.stream(32, 0), 0))
        torch.manual_seed(0)
        vectors = {t: torch.randn(len(ids), 16) for t, ids in batch.seeds.items()}
        losses[n3] = task.loss(vectors, batch)[0].item()
    assert isinstance(batch.targets, LinkTargets)
    want = 0.0
    for part in link_parts(batch.targets):
        pool = vectors[part.edge_type[2]][batch.targets.pools[part.edge_type[2]].mine]
        ends = [vectors[part.edge_type[0]][part.sources], part.candidates(pool)[: len(part.sources)]]
        weights = task.head.get_parameter("relations")[task.head.row_of(part.edge_type)[0]]
        for numbers in (*ends, weights.expand(len(part.sources), -1)):
            want += torch.complex(*numbers.chunk(2, dim=-1)).abs().pow(3).sum().item()
    assert losses[0.5] - losses[0.0] == pytest.approx(0.5 * want, rel=1e-4)


def answers(experiment: Experiment, task: LinksOfRelations, asked: Asked, **infer: Any) -> list[dict[str, Any]]:
    config = experiment.pipeline.infer.model_copy(update=infer)
    vectors = experiment.embedder().layer_wise([t for t, _ in task.needed(asked).items()])
    made_of = task.asked_predictions(vectors, config, lambda what, done, of: None, asked)
    assert made_of.rows is not None
    rows: list[dict[str, Any]] = made_of.table(made_of.rows).to_pylist()
    return rows


def test_questions_and_triples_of_a_file(relations: Callable[..., Pipeline], tmp_path: Path) -> None:
    """The best answers are those of all scores, without known facts; a triple has the score of its answer."""
    lines = ["source,relation,target", "u1,buys,", ",item:similar:item,item-0003", "item-0002,similar,"]
    (tmp_path / "ask.csv").write_text("\n".join(lines) + "\n")
    experiment, task = made(relations(infer={"queries": str(tmp_path / "ask.csv"), "top_k": 240}))
    asked = asked_rows(experiment.pipeline.infer, experiment.graph, experiment.pipeline.task, scores_edges=False)
    rows = answers(experiment, task, asked)
    vectors = {
        t: torch.from_numpy(np.asarray(v)) for t, v in experiment.embedder().layer_wise(["user", "item"]).items()
    }
    names = {t: experiment.graph.ids(t).to_pylist() for t in ("user", "item")}
    for edge_type, sought, known in ((BUYS, "target", "u1"), (SIMILAR, "source", "item-0003")):
        of_question = [
            r for r in rows if r["sought"] == sought and r["source" if sought == "target" else "target"] == known
        ]
        assert {r["relation"] for r in of_question} == {":".join(edge_type)}
        assert [r["rank"] for r in of_question] == list(range(1, len(of_question) + 1))
        with torch.inference_mode():
            table = task.head.scores(vectors[edge_type[0]], vectors[edge_type[2]], edge_type).numpy()
        ends = experiment.graph.edges(edge_type)
        at = names[edge_type[0] if sought == "target" else edge_type[2]].index(known)
        column, true = (
            (table[at], ends[1][ends[0] == at]) if sought == "target" else (table[:, at], ends[0][ends[1] == at])
        )
        left_out = {*true.tolist(), *([at] if edge_type == SIMILAR else [])}
        want = sorted((-score, i) for i, score in enumerate(column.tolist()) if i not in left_out)
        np.testing.assert_allclose([r["score"] for r in of_question], [-score for score, _ in want], atol=1e-5)
    best = [r for r in rows if r["rank"] <= 2]
    pq.write_table(pq.read_table(_table_of(best, tmp_path)), tmp_path / "pairs.parquet")
    experiment, task = made(relations(infer={"pairs": str(tmp_path / "pairs.parquet")}))
    asked = asked_rows(experiment.pipeline.infer, experiment.graph, experiment.pipeline.task, scores_edges=False)
    scored = answers(experiment, task, asked)
    assert [{**r, "score": 0} for r in scored] == [
        {"source": r["source"], "relation": r["relation"], "target": r["target"], "score": 0} for r in best
    ]
    np.testing.assert_allclose([r["score"] for r in scored], [r["score"] for r in best], atol=1e-5)


def _table_of(rows: list[dict[str, Any]], folder: Path) -> Path:
    import pyarrow as pa

    pq.write_table(
        pa.table({n: [r[n] for r in rows] for n in ("source", "relation", "target")}), folder / "best.parquet"
    )
    return folder / "best.parquet"


@pytest.mark.parametrize(
    ("ends", "line", "message"),
    [
        ("both", "u1,buys,item-0001", r"each row must leave one end empty.*\(got another row, 2\)"),
        ("both", "u1,bys,", r"relation.*'bys'.*Did you mean 'buys'"),
        ("both", "nobody,buys,", r"infer\.queries: ids must be those of nodes of user \(got 1 of 2"),
        ("targets", ",buys,item-0001", r"infer\.queries: must ask for targets \(got 1 that ask for sources\)"),
    ],
)
def test_wrong_questions_are_named(
    relations: Callable[..., Pipeline], tmp_path: Path, ends: str, line: str, message: str
) -> None:
    (tmp_path / "ask.csv").write_text(f"source,relation,target\nu1,buys,\n{line}\n")
    experiment, task = made(relations({"ends": ends}, infer={"queries": str(tmp_path / "ask.csv")}))

    def ask() -> None:
        infer = experiment.pipeline.infer
        answers(experiment, task, asked_rows(infer, experiment.graph, experiment.pipeline.task, scores_edges=False))

    with pytest.raises(DataError, match=message):
        ask()


@pytest.mark.slow
@pytest.mark.dist
def test_ranks_take_the_steps_of_one_process(relations: Callable[..., Pipeline], tmp_path: Path) -> None:
    """Losses, scores of both ends and answers; what `evaluate` says of the best model is what validation said."""

    def config(name: str) -> Pipeline:
        return relations(
            {"ends": "reciprocal", "n3": 0.01, "average": "macro", "negatives": {"uniform": 16}},
            output=str(tmp_path / name),
            model={"gnn": {"type": "rgcn", "hidden": 16, "layers": 2, "dropout": 0.0}},
            train={"epochs": 1, "fanouts": [-1, -1], "precision": "float32", "batch_size": 256},
        )

    def losses(name: str) -> list[float]:
        lines = map(json.loads, (tmp_path / name / "train/metrics.jsonl").read_text().splitlines())
        return [line["loss"] for line in lines if line["kind"] == "train"]

    stages = ["train", "evaluate", "infer"]
    run_pipeline(config("one"), stages, reporter=QUIET)
    ranks.run_stages(config("two"), stages, 1, 2)
    np.testing.assert_allclose(losses("two"), losses("one"), rtol=1e-5)
    scores = read_scores(config("one"))
    assert "mrr/item:similar^-1:item" in scores["test"]
    best = json.loads((tmp_path / "one/train/best/metrics.json").read_text())
    assert {name: best[name] for name in scores["valid"]} == pytest.approx(scores["valid"], abs=1e-6)
    for split, of_split in scores.items():
        assert read_scores(config("two"))[split] == pytest.approx(of_split, abs=1e-4)  # scores that all but tie
    one, two = (pq.read_table(tmp_path / name / "infer/predictions") for name in ("one", "two"))
    keys = [(c, "ascending") for c in ("relation", "sought", "score")]
    assert one.num_rows == two.num_rows == 10 * (60 + 240 + 240 + 240)
    assert set(one["sought"].to_pylist()) == {"source", "target"}
    ordered = [table.sort_by(keys)["score"].to_numpy() for table in (one, two)]
    np.testing.assert_allclose(*ordered, atol=1e-4)
    files = tmp_path / "one/evaluate/ranks/test"
    assert {path.name for path in files.iterdir()} == {"item--similar--item", "item--similar--item--inverse"}
    assert pq.read_schema(next((files / "item--similar--item--inverse").iterdir())).names == [
        "source",
        "target",
        "rank",
        "candidates",
    ]
