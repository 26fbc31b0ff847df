"""GraphStorm's files -> pipelines: what every key became."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from gconstruct.convert.convert import Converted, convert
from gconstruct.convert.notes import Notes, Section
from gconstruct.convert.several_tasks import convert_tasks
from gconstruct.convert.training import Pool
from graphstorm_like.config import Pipeline, build_pipeline
from graphstorm_like.config.yaml_source import parse_yaml
from graphstorm_like.errors import ConfigError
from tests.gconstruct.convert.examples import GCONSTRUCT, GSPROCESSING, training

BOOKS = {
    "target_ntype": "book",
    "label_field": "genre",
    "num_classes": 5,
    "eval_metric": ["roc_auc", "accuracy", "hit_at_5"],
}


def converted(folder: Path, *files: dict[str, Any], task: int | None = None) -> tuple[Converted, Pipeline]:
    """The first mapping of a pair is JSON, one with `gsf` YAML."""
    paths = []
    for number, data in enumerate(files):
        path = folder / f"config{number}.{'yaml' if 'gsf' in data else 'json'}"
        path.write_text(yaml.safe_dump(data) if "gsf" in data else json.dumps(data))
        paths.append(path)
    found = convert(paths, folder / "pipeline.yaml", task)
    return found, build_pipeline(parse_yaml(found.text, "converted").data)


def said(found: Converted, outcome: str) -> dict[str, str]:
    """What was said of keys, by the last part of the key."""
    return {note.key.rpartition(".")[2]: note.text for note in found.notes if note.outcome == outcome}


def leaves(value: Any, key: str = "") -> set[str]:
    """Every key of a file that holds something."""
    if isinstance(value, dict):
        keys = [leaves(item, f"{key}.{name}" if key else str(name)) for name, item in value.items()]
        return set().union(*keys) if keys else {key}
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return set().union(*(leaves(item, f"{key}[{i}]") for i, item in enumerate(value)))
    return set() if value is None else {key}


def test_construction(tmp_path: Path) -> None:
    found, pipeline = converted(tmp_path, GCONSTRUCT)
    reader, book = pipeline.graph.nodes["reader"], pipeline.graph.nodes["book"]
    assert (reader.files, reader.id, reader.csv.delimiter) == (["data/readers.csv"], "rid", ";")
    features = {name: feature.model_dump() for name, feature in reader.features.items()}
    assert (features["age"]["normalize"], features["age"]["clip"]) == ("min_max", [None, 99.0])
    assert (features["rank"]["encode"], features["rank"]["epsilon"]) == ("rank_gauss", 1e-6)
    assert features["place"]["columns"] == ["x", "y"]
    assert (features["income"]["normalize"], features["income"]["dtype"]) == ("standard", "float16")
    assert features["visits"]["edges"] == [0.0, 2.5, 5.0, 7.5, 10.0]
    assert features["visits"]["window"] == 2.0
    assert features["country"]["encode"] == "one_hot"
    assert (features["hobbies"]["encode"], features["hobbies"]["separator"]) == ("multi_hot", ",")
    assert (features["vector"]["normalize"], features["vector"]["dims"]) == ("none", 8)
    assert "anything" not in features
    assert book.text["blurb"].columns == ["blurb"]
    assert book.labels["genre"].split.valid == 0.2
    assert (book.labels["price"].kind, book.labels["price"].split.train) == ("number", 0.8)
    lends, by = pipeline.graph.edges
    assert (lends.source_id, lends.target_id) == ("who", "what")
    assert lends.split is not None
    assert list(lends.features) == ["days"]
    assert lends.hard_negatives is not None
    assert (lends.hard_negatives.column, lends.hard_negatives.separator) == ("wrong", ",")
    assert (by.edge_type, pipeline.graph.nodes["author"].files) == (("book", "by", "author"), [])
    assert (pipeline.task.type, pipeline.task.row_type) == ("node_classification", "book")
    assert pipeline.model.text_encoder is not None
    assert (pipeline.model.text_encoder.model_name, pipeline.model.text_encoder.max_tokens) == ("some/model", 48)
    assert {"transform", "label_stats_type"} <= set(said(found, "none"))
    assert "sum" in said(found, "near")


def test_construction_by_spark(tmp_path: Path) -> None:
    found, pipeline = converted(tmp_path, GSPROCESSING)
    features = {name: feature.model_dump() for name, feature in pipeline.graph.nodes["book"].features.items()}
    assert (features["pages"]["normalize"], features["pages"]["missing"]) == ("min_max", "mean")
    assert (features["weight"]["encode"], features["weight"]["epsilon"]) == ("rank_gauss", 0.1)
    assert (features["year"]["edges"], features["year"]["missing"]) == ([1900.0, 1950.0, 2000.0], "own")
    assert (features["shelf"]["encode"], features["tags"]["separator"]) == ("one_hot", "|")
    assert "far" not in features
    (edge,) = pipeline.graph.edges
    assert edge.edge_type == ("reader", "lends", "book")
    assert pipeline.graph.nodes["book"].labels["genre"].split.test == 0.05
    assert pipeline.graph.nodes["book"].format == "csv", "the name of a folder does not say so"
    assert "split_rate" in said(found, "near")
    assert "features[6]" in said(found, "none")


def test_training(tmp_path: Path) -> None:
    found, pipeline = converted(tmp_path, GCONSTRUCT, training(node_classification=BOOKS))
    gnn = pipeline.model.gnn.model_dump()
    assert (gnn["type"], gnn["hidden"], gnn["layers"], gnn["heads"], gnn["dropout"]) == ("rgat", 64, 2, 4, 0.1)
    train = pipeline.train
    assert (train.epochs, train.batch_size, train.lr, train.embedding_lr) == (7, 256, 0.002, 0.01)
    assert [fanout.default for fanout in train.fanouts] == [5, 15], "ours begin at the seeds"
    assert train.early_stop is None
    assert (train.keep_best, [tracker.type for tracker in train.track.trackers]) == (3, ["tensorboard"])
    assert (pipeline.infer.mode, pipeline.infer.batch_size) == ("layer_wise", 512)
    assert pipeline.task.model_dump()["select_by"] == "roc_auc"
    metrics = [metric.name for metric in pipeline.task.metrics]  # type: ignore[attr-defined]
    assert metrics == ["roc_auc", "accuracy", "precision_at_k@5"]
    assert {"backend", "ip_config", "part_config", "num_classes"} <= set(said(found, "none"))
    assert pipeline.train.evaluate_steps == 500
    assert "# - gsf.basic.backend" in found.text


@pytest.mark.parametrize(
    "files",
    [
        (GCONSTRUCT,), (GSPROCESSING,), (training(node_classification=BOOKS),),
        (GCONSTRUCT, training(node_classification=BOOKS)),
    ],
)  # fmt: skip
def test_every_key_is_mapped_or_listed(tmp_path: Path, files: tuple[dict[str, Any], ...]) -> None:
    found, _ = converted(tmp_path, *files)
    told = {note.key for note in found.notes}
    for key in set().union(*(leaves(data) for data in files)):
        plain = key.split("[")[0] if key.endswith("]") else key
        assert any(key == known or key.startswith((f"{known}.", f"{known}[")) or plain == known for known in told), key


def test_splits_from_files(tmp_path: Path) -> None:
    data = copy.deepcopy(GCONSTRUCT)
    files = {"train": "ids/train.json", "valid": ["ids/valid.json"], "test": "ids/test.json", "column": "isbn"}
    data["nodes"][1]["labels"][0] = {
        "label_col": "genre",
        "task_type": "classification",
        "custom_split_filenames": files,
    }
    split = converted(tmp_path, data)[1].graph.nodes["book"].labels["genre"].split.model_dump()
    assert (split["by"], split["train"], split["columns"]) == ("ids", ["ids/train.json"], ["isbn"])
    files.pop("test")
    found, pipeline = converted(tmp_path, data)
    assert pipeline.graph.nodes["book"].labels["genre"].split.by == "random"
    assert "custom_split_filenames" in said(found, "none")


def test_unknown_keys_are_told(tmp_path: Path) -> None:
    data = copy.deepcopy(GCONSTRUCT)
    data["nodes"][0]["node_id_cool"] = "x"
    yaml_data = training(node_classification=BOOKS, hyperparam={"lrr": 1.0, "lr": 0.1})
    found, _ = converted(tmp_path, data, yaml_data)
    assert {"node_id_cool", "lrr"} <= set(said(found, "none"))
    assert any("lrr" in line for line in found.report())


def test_link_prediction(tmp_path: Path) -> None:
    links = {
        "train_etype": ["reader,lends,book"], "eval_etype": ["reader,lends,book"], "num_negative_edges": 32,
        "num_negative_edges_eval": 200, "train_negative_sampler": "joint", "lp_decoder_type": "dot_product",
        "lp_loss_func": "contrastive", "contrastive_loss_temperature": 0.2, "lp_embed_normalizer": "l2_norm",
        "exclude_training_targets": True, "reverse_edge_types_map": ["reader,lends,lent_to,book"],
        "eval_metric": ["mrr", "hit_at_10", "amri"],
    }  # fmt: skip
    found, pipeline = converted(tmp_path, GCONSTRUCT, training(link_prediction=links))
    task = pipeline.task.model_dump()
    assert task["edge_type"] == ("reader", "lends", "book")
    assert task["head"] == {"type": "dot", "directed": False, "normalize": True}
    assert (task["loss"]["type"], task["loss"]["temperature"]) == ("info_nce", 0.2)
    assert (task["negatives"]["uniform"], task["negatives"]["in_batch"]) == (32, False)
    assert task["ranking"]["candidates"] == 200
    assert [metric["type"] for metric in task["metrics"]] == ["mrr", "hits", "amri"]
    assert pipeline.graph.edges[0].reverse == "lent_to"
    assert "eval_metric" in said(found, "same")


def test_hard_negatives(tmp_path: Path) -> None:
    links = {
        "train_etype": ["reader,lends,book"], "num_negative_edges": 16,
        "train_etypes_negative_dstnode": ["reader,lends,book:wrong"],
        "num_train_hard_negatives": ["reader,lends,book:3"],
    }  # fmt: skip
    negatives = converted(tmp_path, GCONSTRUCT, training(link_prediction=links))[1].task.model_dump()["negatives"]
    assert (negatives["type"], negatives["per_edge"], negatives["uniform"]) == ("hard", 3, 16)
    links["eval_etypes_negative_dstnode"] = ["reader,lends,book:wrong"]
    for wanted in (links, {key: value for key, value in links.items() if not key.startswith("train_etypes")}):
        _, pipeline = converted(tmp_path, GCONSTRUCT, training(link_prediction=wanted))
        assert pipeline.task.model_dump()["ranking"]["candidates"] == "given"
        assert pipeline.graph.edges[0].hard_negatives is not None
    links["eval_etypes_negative_dstnode"] = ["reader,lends,book:other"]
    assert "eval_etypes_negative_dstnode" in said(
        converted(tmp_path, GCONSTRUCT, training(link_prediction=links))[0], "none"
    )
    links["train_etypes_negative_dstnode"] = ["reader,lends,book:other"]
    found, pipeline = converted(tmp_path, GCONSTRUCT, training(link_prediction=links))
    assert pipeline.task.model_dump()["negatives"]["type"] == "uniform"
    assert "num_train_hard_negatives" in said(found, "none")


@pytest.mark.parametrize(
    ("decoder", "head"),
    [
        ("transe_l1", {"type": "transe", "norm": "l1", "gamma": 12.0}),
        ("transe_l2", {"type": "transe", "norm": "l2", "gamma": 12.0}),
        ("rotate", {"type": "rotate", "gamma": 12.0}),
        ("distmult", {"type": "distmult"}),
    ],
)
def test_links_of_several_types_are_learnt_together(tmp_path: Path, decoder: str, head: dict[str, Any]) -> None:
    links = {"num_negative_edges": 8, "lp_decoder_type": decoder, "gamma": 12.0}
    found, pipeline = converted(tmp_path, GCONSTRUCT, training(link_prediction=links))
    task = pipeline.task.model_dump()
    assert (task["type"], task["edge_type"], len(task["edge_types"])) == ("link_prediction", None, 2)
    assert task["negatives"]["popularity_correction"] is False, "uniform ones have none there"
    assert {key: task["head"][key] for key in head} == head
    assert not {"train_etype", "lp_decoder_type"} & set(said(found, "none"))
    assert "lp_decoder_type" not in said(found, "near")
    assert any(edge.split is not None for edge in pipeline.graph.edges)


def test_edge_tasks(tmp_path: Path) -> None:
    stars = {
        "target_etype": ["reader,lends,book"], "label_field": "stars", "num_classes": 5,
        "remove_target_edge_type": False, "decoder_type": "MLPDecoder", "num_ffn_layers_in_decoder": 1,
        "decoder_edge_feat": ["reader,lends,book:days"],
        "imbalance_class_weights": "1,2,3,4,5",
    }  # fmt: skip
    _, pipeline = converted(tmp_path, GCONSTRUCT, training(edge_classification=stars))
    task = pipeline.task.model_dump()
    assert (task["type"], task["label"], task["head_layers"], task["class_weights"]) == (
        "edge_classification",
        "stars",
        2,
        "balanced",
    )
    assert task["exclude_target_edges"] is False
    assert task["inputs"] == {"features": ["days"], "text": []}


@pytest.mark.parametrize(
    ("settings", "kind", "loss"),
    [
        ({"class_loss_func": "focal", "gamma": 1.5}, "node_classification", {"type": "focal", "gamma": 1.5}),
        ({"multilabel": True, "eval_metric": ["f1_score"]}, "node_multi_label", {"type": "bce"}),
    ],
)
def test_losses_and_several_labels(tmp_path: Path, settings: dict[str, Any], kind: str, loss: dict[str, Any]) -> None:
    _, pipeline = converted(tmp_path, GCONSTRUCT, training(node_classification={**BOOKS, **settings}))
    task = pipeline.task.model_dump()
    assert (task["type"], task["loss"]) == (kind, loss)
    label = pipeline.graph.nodes[task["node_type"]].labels[task["label"]]
    assert label.kind == ("classes" if "multilabel" in settings else "class")


def test_inputs_that_are_named(tmp_path: Path) -> None:
    basic = {"node_feat_name": ["book:pages,blurb", "reader:age"], "edge_feat_name": ["reader,lends,book:days"]}
    _, pipeline = converted(tmp_path, GCONSTRUCT, training(node_classification=BOOKS, basic=basic))
    assert pipeline.model.inputs["reader"].features == ["age"]
    assert "book" not in pipeline.model.inputs or pipeline.model.inputs["book"].features in (None, ["pages"])
    assert pipeline.model.edge_inputs["reader:lends:book"].features == ["days"]


@pytest.mark.parametrize(
    ("sections", "strategy", "phases"),
    [
        ({"lm": {"lm_train_nodes": 0, "cache_lm_embed": True}}, "frozen", ["gnn"]),
        ({"lm": {"lm_train_nodes": 8}}, "joint", ["joint"]),
        ({"lm": {"lm_train_nodes": 8, "freeze_lm_encoder_epochs": 2}}, "joint", ["gnn", "joint"]),
        (
            {"lmgnn": {"training_method": {"name": "glem", "kwargs": {"pl_weight": 0.3, "num_pretrain_epochs": 2}}}},
            "glem",
            ["lm", "gnn", "pseudo", "gnn"],
        ),
        ({"distill": {"textual_data_path": "texts", "max_distill_step": 100}}, "distill", ["gnn", "student"]),
    ],
)
def test_ways_of_training_language_models(
    tmp_path: Path, sections: dict[str, Any], strategy: str, phases: list[str]
) -> None:
    data = training(node_classification=BOOKS, **sections)
    data["lm_model"] = {
        "node_lm_models": [
            {"lm_type": "bert", "model_name": "other/model", "gradient_checkpoint": True, "node_types": ["book"]}
        ]
    }
    _, pipeline = converted(tmp_path, GCONSTRUCT, data)
    assert pipeline.train.strategy == strategy
    assert [phase.type for phase in pipeline.train.phase_list()] == phases
    assert pipeline.train.lm.gradient_checkpointing
    assert pipeline.model.text_encoder is not None
    assert pipeline.model.text_encoder.model_name == "other/model"


def test_one_of_several_tasks(tmp_path: Path) -> None:
    tasks = [
        {"node_classification": {**BOOKS, "task_weight": 1.0, "mask_fields": ["a", "b", "c"], "batch_size": 16}},
        {"link_prediction": {"train_etype": ["reader,lends,book"], "batch_size": 64}},
        {"reconstruct_node_feat": {"reconstruct_nfeat_name": "pages", "target_ntype": "book"}},
    ]
    data = training(multi_task_learning=tasks)
    first, second = converted(tmp_path, GCONSTRUCT, data, task=1), converted(tmp_path, GCONSTRUCT, data, task=2)
    assert (first[1].task.type, first[1].train.batch_size) == ("node_classification", 16)
    assert (second[1].task.type, second[1].train.batch_size) == ("link_prediction", 64)
    assert "--task 2" in "\n".join(first[0].report())
    with pytest.raises(ConfigError, match="--task: must be from 1 to 2"):
        converted(tmp_path, GCONSTRUCT, data, task=3)


def test_several_tasks_together(tmp_path: Path) -> None:
    links = {
        "train_etype": ["reader,lends,book"],
        "task_weight": 0.5,
        "batch_size": 64,
        "lp_decoder_type": "dot_product",
    }
    price = {"target_ntype": "book", "label_field": "price", "eval_metric": ["mse", "mae"], "task_weight": 2.0}
    tasks = [
        {"node_classification": {**BOOKS, "batch_size": 16}},
        {"node_regression": price},
        {"link_prediction": links},
        {"reconstruct_node_feat": {"reconstruct_nfeat_name": "pages", "target_ntype": "book"}},
    ]
    found, pipeline = converted(tmp_path, GCONSTRUCT, training(multi_task_learning=tasks))
    several = pipeline.task.model_dump()
    assert {name: task["type"] for name, task in several["tasks"].items()} == {
        "genre": "node_classification",
        "price": "node_regression",
        "links": "link_prediction",
    }
    assert (several["batch_sizes"], several["weights"]) == ({"genre": 16, "links": 64}, {"price": 2.0, "links": 0.5})
    assert [metric["type"] for metric in several["tasks"]["price"]["metrics"]] == ["mse", "mae"]
    assert several["select_by"] == "genre.roc_auc", "their mean would mix directions"
    assert pipeline.train.batch_size == 256
    assert not {"task_weight", "batch_size", "train_etype", "label_field"} & set(said(found, "none"))
    assert "feature_reconstruction" in said(found, "none")["reconstruct_node_feat"]
    two = training(multi_task_learning=[tasks[0], tasks[2]])
    assert converted(tmp_path, GCONSTRUCT, two)[1].task.model_dump()["select_by"] == "mean"


def test_tasks_of_one_name_and_of_no_weight(tmp_path: Path) -> None:
    """Label y, a label called y_2, y of other nodes, and a task that nothing would learn from."""
    labels = [("book", "y"), ("book", "y_2"), ("reader", "y"), ("book", "z")]
    tasks = [
        {"node_regression": {"target_ntype": kind, "label_field": label, "task_weight": float(label != "z")}}
        for kind, label in labels
    ]
    data, notes = Section({"multi_task_learning": tasks}, "", Notes()), Notes()
    chosen = [("node_regression", Section(task["node_regression"], "task", notes)) for task in tasks]
    ours = convert_tasks(chosen, Pool([data], notes), None)
    types = {name: (task["node_type"], task["label"]) for name, task in ours["tasks"].items()}
    assert types == {"y": labels[0], "y_2": labels[1], "y_3": labels[2]}
    assert ours["weights"] == {"y": 1.0, "y_2": 1.0, "y_3": 1.0}
    assert any("left out" in note.text for note in notes.of("near"))


def test_what_came_later(tmp_path: Path) -> None:
    """Losses, metrics and layers that this library did not have at first."""
    links = {
        "train_etype": ["reader,lends,book"], "lp_loss_func": "bpr", "num_negative_edges": 4,
        "eval_metric": ["hit_at_3"],
    }  # fmt: skip
    bpr = converted(tmp_path, GCONSTRUCT, training(link_prediction=links))[1].task.model_dump()
    assert (bpr["loss"], bpr["select_by"]) == ({"type": "bpr", "temperature": 1.0}, "hits@3")
    links |= {"lp_loss_func": "cross_entropy", "adversarial_temperature": 2.0}
    links |= {"lp_edge_weight_for_loss": ["reader,lends,book:days"]}
    built = training(link_prediction=links)
    built["gsf"]["gnn"] |= {"construct_feat_ntype": ["author"]}
    found, pipeline = converted(tmp_path, GCONSTRUCT, built)
    adversarial = pipeline.task.model_dump()
    assert not any(inputs.neighbors for inputs in pipeline.model.inputs.values())
    assert "construct_feat_ntype" in said(found, "near")
    assert adversarial["loss"] == {"type": "self_adversarial", "sharpness": 2.0}
    assert adversarial["edge_weight"] == "days"
    assert "negatives" in said(found, "near")["lp_edge_weight_for_loss"]
    several = {
        **links, "train_etype": ["reader,lends,book", "book,by,author"], "model_select_etype": "reader,lends,book",
        "lp_edge_weight_for_loss": ["no_such"],
    }  # fmt: skip
    found, pipeline = converted(tmp_path, GCONSTRUCT, training(link_prediction=several))
    assert pipeline.task.model_dump()["select_by"] == "hits@3/reader:lends:book"
    assert "no_such" in said(found, "none")["lp_edge_weight_for_loss"]
    metrics = ["fscore_at_2", "recall_at_precision_0.8", "precision_at_recall_0.5", "precision", "per_class_f1_score"]
    hyperparam = {"lr": 0.1, "use_early_stop": True, "early_stop_rounds": 4, "early_stop_burnin_rounds": 6}
    data = training(node_classification={**BOOKS, "eval_metric": metrics}, hyperparam=hyperparam)
    data["gsf"]["gnn"] |= {"num_ffn_layers_in_input": 2, "construct_feat_ntype": ["author"]}
    found, pipeline = converted(tmp_path, GCONSTRUCT, data)
    names = [metric.name for metric in pipeline.task.metrics]  # type: ignore[attr-defined]
    assert names == ["f_beta@2", "recall_at_precision@0.8", "precision_at_recall@0.5", "macro_precision"]
    assert "of_class" in said(found, "none")["eval_metric"]
    early_stop = pipeline.train.early_stop
    assert early_stop is not None
    assert (early_stop.patience, early_stop.burn_in, early_stop.rule) == (4, 6, "mean")
    assert {name: inputs.layers for name, inputs in pipeline.model.inputs.items()} == dict.fromkeys(
        ("reader", "book", "author"), 2
    )
    assert [name for name, inputs in pipeline.model.inputs.items() if inputs.neighbors] == ["author"]
    stars = {"target_etype": ["reader,lends,book"], "label_field": "stars", "decoder_type": "DenseBiDecoder"}
    dense = converted(tmp_path, GCONSTRUCT, training(edge_classification=stars))[1].task.model_dump()
    assert (dense["bases"], dense["head_layers"]) == (2, 1)


def test_training_alone_starts_from_a_graph_folder(tmp_path: Path) -> None:
    found, pipeline = converted(tmp_path, training(node_classification=BOOKS))
    assert (pipeline.graph.path, pipeline.graph.nodes) == ("graph", {})
    assert "gsl import" in found.text


def test_networks_that_are_not_here(tmp_path: Path) -> None:
    for kind, ours in [("gat", "gat"), ("mlp", "none"), ("lm", "none"), ("hgt", "hgt"), ("learnable_embed", "none")]:
        data = training(node_classification=BOOKS)
        data["gsf"]["gnn"] = {"model_encoder_type": kind, "hidden_size": 64, "num_layers": 2, "fanout": "5,5"}
        _, pipeline = converted(tmp_path, GCONSTRUCT, data)
        assert pipeline.model.gnn.type == ours


def test_fanouts_by_edge_type(tmp_path: Path) -> None:
    data = training(node_classification=BOOKS)
    data["gsf"]["gnn"]["fanout"] = "reader/lends/book:4@book/by/author:2,reader/lends/book:8"
    _, pipeline = converted(tmp_path, GCONSTRUCT, data)
    near, far = pipeline.train.fanouts
    assert (near.default, near.by_edge_type) == (0, {"reader:lends:book": 8})
    assert far.by_edge_type == {"reader:lends:book": 4, "book:by:author": 2}


def test_tables_that_do_not_fit(tmp_path: Path) -> None:
    data = copy.deepcopy(GCONSTRUCT)
    data["nodes"][0].pop("node_id_col")
    data["nodes"].append({**GCONSTRUCT["nodes"][1], "files": "more/books.parquet"})
    data["nodes"][1]["format"] = {"name": "hdf5"}
    data["edges"][1]["relation"] = ["book", "written by", "author"]
    found, pipeline = converted(tmp_path, data)
    assert pipeline.graph.nodes["reader"].files == []
    assert ("book", "written_by", "author") in [edge.edge_type for edge in pipeline.graph.edges]
    text = "\n".join(found.report())
    for part in (
        "reader has no id column",
        "more files of book: joined by the id",
        "Write the table as Parquet",
        "'written by' became",
    ):
        assert part in text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", r"config.json:1: must be JSON"),
        ("{}", "must be a JSON of graph construction"),
        ('{"nodes": [{}], "edges": []}', r"nodes\[0\].node_type: must be the name of a node type"),
        ('{"nodes": {}, "edges": []}', "nodes: must be a list"),
        ('{"nodes": [], "edges": [{"relation": "a"}]}', r"relation: must be \[source, relation, target\]"),
    ],
)
def test_files_that_are_none_of_these(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(ConfigError, match=message):
        convert([tmp_path / "config.json"], tmp_path / "p.yaml")


def test_a_second_set_of_files_is_joined(tmp_path: Path) -> None:
    data = copy.deepcopy(GCONSTRUCT)
    more = {
        "node_type": "book",
        "node_id_col": "code",
        "files": "more.csv",
        "format": {"name": "csv", "separator": ";"},
    }
    data["nodes"].append(
        {**more, "features": [{"feature_col": "height"}, {"feature_col": "h", "feature_name": "pages"}]}
    )
    data["nodes"].append({"node_type": "book", "files": "rows.parquet", "features": [{"feature_col": "lost"}]})
    found, pipeline = converted(tmp_path, data)
    book = pipeline.graph.nodes["book"]
    assert [(join.files, join.id, join.csv.delimiter) for join in book.join] == [(["more.csv"], "code", ";")]
    assert list(book.features) == ["pages", "height", "pages_2"]
    about = [note for note in found.notes if note.key.startswith("nodes[3]")]
    assert [(note.outcome, note.key) for note in about] == [("none", "nodes[3]")], "nothing within has a counterpart"
    assert "row numbers" in about[0].text
