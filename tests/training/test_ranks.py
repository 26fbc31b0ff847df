"""Several ranks, on one host and on simulated ones, take the steps that one process takes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from gconstruct import build_graph
from graphstorm_like.config import Pipeline, build_pipeline
from graphstorm_like.launch.stages import run_pipeline
from graphstorm_like.progress import Reporter
from graphstorm_like.testing import ranks
from graphstorm_like.testing.graphs import shop_pipeline
from graphstorm_like.testing.text import tiny_text_model

pytestmark = pytest.mark.dist
Make = Callable[..., Pipeline]
STAGES = ["train", "evaluate", "infer"]
MULTI: dict[str, Any] = {
    "type": "multi",
    "tasks": {
        "kind": {"type": "node_classification", "node_type": "item", "label": "kind"},
        "trend": {"type": "edge_classification", "edge_type": "item:similar:item", "label": "trend"},
        "buys": {"type": "graph_pretraining", "edge_types": ["user:buys:item"], "ranking": {"candidates": 20}},
    },
    "weighting": {"type": "excess_risk", "warmup_epochs": 1, "step_size": 0.1},
}


@pytest.fixture(scope="module")
def made(shop: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Make:
    """(output, task, changes of `train`, with text?, "method-count" of partitions) -> pipeline over a graph in float32,
    without dropout. Neighbours are sampled: what is drawn for a node does not depend on the rank."""
    folder = tmp_path_factory.mktemp("ranks")
    lm = tiny_text_model(folder / "lm")

    def make(
        output: str,
        task: str,
        train: dict[str, Any] | None = None,
        text: bool = False,
        method: str = "random-2",
    ) -> Pipeline:
        data = shop_pipeline(shop[0], folder / output, "node_classification" if task == "multi" else task)
        partitions = {"method": method.split("-", maxsplit=1)[0], "count": int(method.split("-")[1])}
        data["graph"] |= {"path": str(folder / method), "partitions": partitions}
        data["model"] |= {"gnn": {"type": "rgcn", "hidden": 16, "layers": 2, "dropout": 0.0}, "input_dropout": 0.0}
        if text:
            data["model"]["text_encoder"] = {"name": str(lm), "max_tokens": 16, "dtype": "float32"}
            data["model"]["inputs"] = {"item": {"text": ["title"]}}
        if task == "multi":
            data["task"] = MULTI
        data["train"] = {"epochs": 2, "batch_size": 64, "fanouts": [3, 2], "precision": "float32"} | (train or {})
        data["train"] |= {"track": {"every_steps": 1}, "lm": {"dropout": 0.0} | data["train"].get("lm", {})}
        pipeline = build_pipeline(data).with_absolute_paths(folder)
        build_graph(pipeline.graph)
        return pipeline

    return make


def losses(pipeline: Pipeline) -> list[float]:
    lines = (Path(pipeline.output) / "train" / "metrics.jsonl").read_text().splitlines()
    return [record["loss"] for record in map(json.loads, lines) if record["kind"] == "train"]


def scores(pipeline: Pipeline) -> dict[str, dict[str, float]]:
    return json.loads((Path(pipeline.output) / "evaluate" / "metrics.json").read_text())


def alone(pipeline: Pipeline) -> Pipeline:
    run_pipeline(pipeline, STAGES, reporter=Reporter(quiet=True))
    return pipeline


def together(pipeline: Pipeline, hosts: int, trainers: int) -> Pipeline:
    ranks.run_stages(pipeline, STAGES, hosts, trainers)
    return pipeline


def exported(pipeline: Pipeline, name: str) -> dict[Any, Any]:
    """Rows of a result by their first column."""
    table = pq.read_table(Path(pipeline.output) / "infer" / name)
    return dict(zip(table.column(0).to_pylist(), table.column(1).to_pylist()))


def ranks_of_links(pipeline: Pipeline) -> dict[tuple[str, Any, Any], float]:
    """By split and ends: what every rank has written of its share."""
    found = {}
    for folder in sorted(Path(pipeline.output).glob("evaluate/ranks/*/*")):
        for row in pq.read_table(folder).to_pylist():
            found[f"{folder.parent.name}/{folder.name}", row["source"], row["target"]] = row["rank"]
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "layouts"),
    [
        ("node_classification", [(1, 2), (2, 1), (2, 2)]),
        ("link_prediction", [(2, 2)]),
        ("graph_pretraining", [(2, 1)]),
        ("edge_regression", [(1, 2)]),
        ("multi", [(2, 1)]),
    ],
)
def test_the_same_steps_scores_and_exports(made: Make, task: str, layouts: list[tuple[int, int]]) -> None:
    one = alone(made(f"{task}-alone", task))
    for hosts, trainers in layouts:
        many = together(made(f"{task}-{hosts}-{trainers}", task), hosts, trainers)
        np.testing.assert_allclose(losses(many), losses(one), rtol=1e-5)
        for split, metrics in scores(one).items():
            assert scores(many)[split] == pytest.approx(metrics, abs=1e-6)
        assert ranks_of_links(many) == pytest.approx(ranks_of_links(one))
        wanted, found = exported(one, "embeddings/item"), exported(many, "embeddings/item")
        assert wanted.keys() == found.keys()
        for key in wanted:
            np.testing.assert_allclose(found[key], wanted[key], atol=1e-4)
        facts = json.loads((Path(many.output) / "infer" / "manifest.json").read_text())
        shards = facts["tables"]["embeddings/item"]["shards"]
        assert len(shards) == hosts * trainers
        assert sum(shard["rows"] for shard in shards) == facts["tables"]["embeddings/item"]["rows"] == len(wanted)
        assert len(list((Path(many.output) / "train/best").glob("embedding-*"))) == hosts * trainers * 2  # user, item


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "strategy", "layout", "close"),
    [
        ("node_classification", "frozen", (2, 2), 1e-5),
        ("link_prediction", "lm_only", (2, 2), 1e-5),
        ("node_classification", "staged", (2, 1), 1e-5),
        ("node_classification", "glem", (2, 1), 1e-4),
        ("node_classification", "distill", (1, 2), 1e-5),
        ("node_classification", "joint", (2, 1), 0.02),  # each rank chooses its own texts to train
        ("node_classification", "joint", (1, 2), 0.02),
    ],
)
def test_language_models_on_ranks(made: Make, task: str, strategy: str, layout: tuple[int, int], close: float) -> None:
    changes = {"strategy": strategy}
    one = alone(made(f"{task}-{strategy}-alone", task, changes, text=True))
    many = together(made(f"{task}-{strategy}-many", task, changes, text=True), *layout)
    np.testing.assert_allclose(losses(many), losses(one), rtol=close)
    for split, metrics in scores(one).items():
        assert scores(many)[split] == pytest.approx(metrics, abs=0.02 if strategy == "joint" else 1e-5)


@pytest.mark.slow
def test_masked_language_modelling_on_ranks(made: Make) -> None:
    """Each rank masks words of its own, so that losses are alike, not equal."""
    changes = {"strategy": "lm_only", "lm": {"mlm": {"probability": 0.3, "task_weight": 0.0}}}
    one = alone(made("mlm-alone", "node_classification", changes, text=True))
    many = together(made("mlm-many", "node_classification", changes, text=True), 1, 2)
    assert np.mean(losses(many)) == pytest.approx(np.mean(losses(one)), rel=0.05)
    assert losses(many) != losses(one)


@pytest.mark.slow
def test_sampler_processes_ask_other_hosts(made: Make) -> None:
    one = alone(made("workers-alone", "link_prediction"))
    many = together(made("workers", "link_prediction", {"workers": 2}), 2, 1)
    np.testing.assert_allclose(losses(many), losses(one), rtol=1e-5)


KILLED_AT = """
import os
from graphstorm_like.training.trainer import Trainer
update = Trainer.update
def until(self, *rest):
    if self.state.updates == 5:
        os._exit(0)
    update(self, *rest)
Trainer.update = until
"""


@pytest.mark.slow
def test_other_ranks_go_on_from_a_resume_point(made: Make) -> None:
    """2 hosts x 1 are killed; 1 x 2 go on, and end like one process that was left alone."""
    changes = {"checkpoint": {"every_steps": 2}, "epochs": 3}
    one = alone(made("resume-alone", "node_classification", changes))
    pipeline = made("resume", "node_classification", changes)
    file = Path(pipeline.output) / "pipeline.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(pipeline.model_dump(mode="json")))
    graph = Path(str(pipeline.graph.path))
    ranks.run_ranks(KILLED_AT + ranks.RUN_STAGES, ["train", str(file)], 2, 1, graph)
    points = sorted(p.name for p in (Path(pipeline.output) / "train/checkpoints").glob("step-*"))
    assert points[-1] == "step-000000004"
    said = ranks.run_stages(pipeline, STAGES, 1, 2)[0]
    assert "resuming at epoch 2, update 4" in said
    np.testing.assert_allclose(losses(pipeline), losses(one), rtol=1e-5)
    assert scores(pipeline)["test"] == pytest.approx(scores(one)["test"], abs=1e-6)


@pytest.mark.slow
def test_joint_training_goes_on_from_a_resume_point(made: Make) -> None:
    """2 hosts x 1 are killed. 2 x 1 go on and end as if nothing had been; 1 x 2, whose texts are numbered otherwise,
    compute the table anew and end as well."""
    changes = {"strategy": "joint", "checkpoint": {"every_steps": 2}, "epochs": 3}
    whole = together(made("joint-whole", "node_classification", changes, text=True), 2, 1)
    ends = {}
    for layout in ((2, 1), (1, 2)):
        pipeline = made(f"joint-{layout[0]}", "node_classification", changes, text=True)
        file = Path(pipeline.output) / "pipeline.json"
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps(pipeline.model_dump(mode="json")))
        ranks.run_ranks(KILLED_AT + ranks.RUN_STAGES, ["train", str(file)], 2, 1, Path(str(pipeline.graph.path)))
        said = ranks.run_stages(pipeline, STAGES, *layout)[0]
        assert "resuming at epoch 2, update 4" in said
        ends[layout] = losses(pipeline)
    assert ends[2, 1] == losses(whole)
    np.testing.assert_allclose(ends[1, 2], losses(whole), rtol=0.05)


@pytest.mark.slow
def test_texts_in_pieces_over_hosts(made: Make) -> None:
    """Tokens of long texts lie with their nodes too."""

    def chunked(pipeline: Pipeline) -> Pipeline:
        encoder = {"max_tokens": 6, "long_texts": "chunk"}
        data = pipeline.model_dump(mode="json")
        data["model"]["text_encoder"] |= encoder
        return Pipeline.model_validate(data)

    changes = {"strategy": "lm_only"}
    one = alone(chunked(made("chunks-alone", "node_classification", changes, text=True)))
    many = together(chunked(made("chunks", "node_classification", changes, text=True)), 2, 1)
    np.testing.assert_allclose(losses(many), losses(one), rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["random-2", "random-3", "metis-2"])
def test_partitioning_changes_nothing_but_the_order(made: Make, method: str) -> None:
    """Whole-batch steps do not depend on the order of rows, so any partitioning has the same loss curve."""
    if method == "metis-2":
        pytest.importorskip("dgl")
    changes = {"batch_size": 10**6, "epochs": 4, "fanouts": [-1, -1]}

    def without_embeddings(pipeline: Pipeline) -> Pipeline:
        inputs = {t: {"text": [], "embedding": False} for t in ("item", "user")}
        model = type(pipeline.model).model_validate(pipeline.model.model_dump() | {"inputs": inputs})
        return pipeline.model_copy(update={"model": model})

    one = alone(without_embeddings(made("order-1", "node_classification", changes, method="random-1")))
    many = alone(without_embeddings(made(f"order-{method}", "node_classification", changes, method=method)))
    np.testing.assert_allclose(losses(many), losses(one), rtol=1e-5)
    assert scores(many)["test"] == pytest.approx(scores(one)["test"], abs=1e-6)


@pytest.mark.slow
def test_queues_and_mined_negatives_on_ranks(made: Make) -> None:
    """Lists by words, neighbours, walks and the model, a queue, and the source itself: over two hosts as in one
    process."""
    mined = ["mined_text", "mined_resource_allocation", "mined_page_rank"]
    parts: list[dict[str, Any]] = [{"share": 1, "negatives": {"type": kind, "candidates": 10}} for kind in mined]
    parts.append({"share": 1, "from_epoch": 2, "negatives": {"type": "mined_model", "refresh_steps": 4}})

    def pipeline(name: str) -> Pipeline:
        data = made(name, "link_prediction").model_dump(mode="json")
        data["task"]["negatives"] = {"type": "mix", "count": 32, "queue": 90, "self_negative": True, "parts": parts}
        return build_pipeline(data)

    one, many = alone(pipeline("mined-alone")), together(pipeline("mined-many"), 2, 1)
    np.testing.assert_allclose(losses(many), losses(one), rtol=1e-4)
    assert scores(many)["test"] == pytest.approx(scores(one)["test"], abs=1e-3)


@pytest.mark.slow
def test_inputs_of_links_and_negatives_of_own_partitions_on_ranks(made: Make) -> None:
    """Over two hosts as in one process: losses, scores, and scores of all edges."""

    def pipeline(name: str) -> Pipeline:
        data = made(name, "link_prediction").model_dump(mode="json")
        data["task"]["negatives"] = {"type": "own_partition", "count": 30, "popularity_correction": True}
        data["task"]["inputs"] = {"features": ["weight"]}
        return build_pipeline(data)

    one, many = alone(pipeline("inputs-alone")), together(pipeline("inputs-many"), 2, 1)
    np.testing.assert_allclose(losses(many), losses(one), rtol=1e-5)
    assert scores(many)["test"] == pytest.approx(scores(one)["test"], abs=1e-6)
    rows = []
    for made_by in (one, many):
        table = pq.read_table(Path(made_by.output) / "infer" / "predictions").to_pylist()
        rows.append({(row["source"], row["target"], row["parallel"]): row["score"] for row in table})
    assert rows[1] == pytest.approx(rows[0], abs=1e-4)
    assert len(rows[0]) == pq.read_table(Path(one.graph.base or "") / "similar.parquet").num_rows


@pytest.mark.slow
def test_weights_of_links_on_ranks(made: Make) -> None:
    """Of two relations, one without weights, and their inverses: a rank's edges weigh there what they do alone."""

    def pipeline(name: str, weight: str | None = "weight") -> Pipeline:
        data = made(name, "link_prediction").model_dump(mode="json")
        data["task"] |= {"edge_type": None, "edge_types": "all", "ends": "reciprocal", "edge_weight": weight}
        data["graph"]["path"] += "-weights"
        data["graph"]["edges"][1]["features"]["weight"]["normalize"] = "none"
        built = build_pipeline(data)
        build_graph(built.graph)
        return built

    one, many = alone(pipeline("weights-alone")), together(pipeline("weights-many"), 2, 1)
    np.testing.assert_allclose(losses(many), losses(one), rtol=1e-5)
    # Sums of weights in another order: two candidates that score nearly alike may change places.
    assert scores(many)["test"] == pytest.approx(scores(one)["test"], abs=1e-4)
    assert losses(alone(pipeline("weights-none", None))) != losses(one)


@pytest.mark.slow
def test_the_best_models_are_kept_on_ranks(made: Make) -> None:
    """Each rank writes its rows of the embeddings of every model; the second best has the scores that it has alone."""

    def pipeline(name: str) -> Pipeline:
        data = made(name, "node_classification", {"keep_best": 2, "epochs": 3}).model_dump(mode="json")
        return build_pipeline({**data, "infer": {**data["infer"], "kept": 2}})

    one, many = alone(pipeline("kept-alone")), together(pipeline("kept-many"), 2, 1)
    listed = []
    for trained in (one, many):
        table = json.loads((Path(trained.output) / "train" / "kept.json").read_text())["models"]
        listed.append([(model["folder"], model["epoch"], pytest.approx(model["value"], abs=1e-6)) for model in table])
    assert listed[0] == [(folder, epoch, value.expected) for folder, epoch, value in listed[1]]
    for folder, _, _ in listed[0]:
        assert len(list((Path(many.output) / "train" / folder).glob("embedding-*"))) == 2 * 2  # ranks, types
    assert scores(many)["test"] == pytest.approx(scores(one)["test"], abs=1e-6)


@pytest.mark.slow
def test_edge_features_to_find_on_ranks(made: Make) -> None:
    """Each rank has its own edges of a step; together they learn what one process does."""

    def pipeline(name: str) -> Pipeline:
        data = made(name, "graph_pretraining").model_dump(mode="json")
        data["task"] = {"type": "edge_feature_reconstruction", "edge_types": ["item:similar:item"]}
        data["train"] |= {"evaluate_every": None, "early_stop": None}
        return build_pipeline(data)

    one, many = pipeline("found-alone"), pipeline("found-many")
    run_pipeline(one, ["train"], reporter=Reporter(quiet=True))
    ranks.run_stages(many, ["train"], 2, 1)
    np.testing.assert_allclose(losses(many), losses(one), rtol=1e-5)


def attacked(
    made: Make, name: str, attack: dict[str, Any], gnn: dict[str, Any] | None = None, **train: Any
) -> Pipeline:
    data = made(name, "node_classification", {"adversarial": attack, **train}).model_dump(mode="json")
    data["model"]["gnn"] = gnn or data["model"]["gnn"]
    return build_pipeline(data)


@pytest.mark.slow
@pytest.mark.parametrize("attack", [{"type": "fgm"}, {"type": "pgd", "norm": "linf", "random_start": False}])
def test_attacks_on_ranks(made: Make, attack: dict[str, Any]) -> None:
    """A rank attacks the rows of its own batch: where each is in one batch alone, without neighbours, ranks find the
    changes that one process finds."""
    name, alone_with_itself = attack["type"], {"type": "none", "layers": 1, "hidden": 16, "dropout": 0.0}
    one = alone(attacked(made, f"{name}-alone", attack, alone_with_itself))
    many = together(attacked(made, f"{name}-many", attack, alone_with_itself), 2, 1)
    np.testing.assert_allclose(losses(many), losses(one), rtol=1e-5)
    assert scores(many)["test"] == pytest.approx(scores(one)["test"], abs=1e-6)
    plain = alone(attacked(made, f"{name}-weak", {**attack, "epsilon": 1e-9}, alone_with_itself))
    assert np.abs(np.array(losses(one)) - losses(plain)).max() > 1e-3


@pytest.mark.slow
def test_attacks_on_ranks_go_on_from_a_resume_point(made: Make) -> None:
    """With random starts, which belong to epoch, step and rank, and shared neighbours: the same bits."""
    changes = {"checkpoint": {"every_steps": 2}, "epochs": 3}
    whole = together(attacked(made, "attack-whole", {"type": "pgd", "steps": 2}, **changes), 1, 2)
    pipeline = attacked(made, "attack-cut", {"type": "pgd", "steps": 2}, **changes)
    file = Path(pipeline.output) / "pipeline.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(pipeline.model_dump(mode="json")))
    ranks.run_ranks(KILLED_AT + ranks.RUN_STAGES, ["train", str(file)], 1, 2, Path(str(pipeline.graph.path)))
    assert "resuming at epoch 2, update 4" in ranks.run_stages(pipeline, STAGES, 1, 2)[0]
    assert losses(pipeline) == losses(whole)
    assert scores(pipeline)["test"] == scores(whole)["test"]
