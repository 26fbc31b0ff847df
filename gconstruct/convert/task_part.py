"""Keys of GraphStorm's training YAML about the task."""

from __future__ import annotations

import re
from typing import Any

from pydantic import TypeAdapter

from gconstruct.convert.parts import DEFAULT_SPLIT
from gconstruct.convert.tables import GraphSection, labels_of, set_label_kind
from gconstruct.convert.training import Pool, edge_type_of, listed
from gconstruct.guess.names import as_name
from graphstorm_like.config.base import edge_name
from graphstorm_like.config.choice import members_of
from graphstorm_like.config.link_heads import LinkHeadConfig
from graphstorm_like.config.link_losses import LinkLossConfig
from graphstorm_like.config.metrics import MetricConfig

_HEADS = {"dot_product": "dot", "transe_l1": "transe", "transe_l2": "transe"}
_NORMS = {"transe_l1": "l1", "transe_l2": "l2"}
_LOSSES = {"contrastive": "info_nce"}
_METRICS = {
    "precision_recall": "average_precision",
    "f1_score": "macro_f1",
    "precision": "macro_precision",
    "recall": "macro_recall",
}
_METRICS_AT = {"hit": "k", "fscore": "beta", "precision_at_recall": "least", "recall_at_precision": "least"}
"""What follows `_at_` or the last `_`, by the name before it."""
"""Names that differ; all others are looked up as they are."""
_TASK_OF_KIND = {"class": "classification", "classes": "multi_label", "number": "regression"}


def convert_task(kind: str, pool: Pool, graph: GraphSection | None) -> dict[str, Any]:
    """The section `task` for one of theirs."""
    if kind == "link_prediction":
        return _links(pool, graph)
    task: dict[str, Any] = {"type": kind}
    is_node = kind.startswith("node")
    if is_node:
        task["node_type"] = _one(pool, "target_ntype", graph)
    else:
        task["edge_type"] = _edge(pool, "target_etype", graph)
    label = _by_type(pool, "label_field", task.get("node_type"))
    task["label"] = as_name(str(label)) if label is not None else _first_label(graph, task)
    if kind.endswith("classification"):
        _classes(task, pool, graph)
    else:
        _numbers(task, pool)
    if not is_node:
        _edge_head(task, pool)
    pool.take("mask_fields", note="each label has a split of its own")
    measured = "numbers" if kind.endswith("regression") else "classes"
    _metrics(task, pool, "class sets" if task["type"].endswith("multi_label") else measured)
    return task


def task_of_graph(graph: GraphSection) -> dict[str, Any]:
    """A task for a graph without a training YAML: its first label, its first edges with a split, or all edges."""
    for owner, label, kind in labels_of(graph):
        word = _TASK_OF_KIND[kind]
        if isinstance(owner, str):
            return {"type": f"node_{word}", "node_type": owner, "label": label}
        return {"type": f"edge_{word}", "edge_type": edge_name(owner), "label": label}
    for edge in graph.edges:
        if "split" in edge:
            return {"type": "link_prediction", "edge_type": f"{edge['source']}:{edge['relation']}:{edge['target']}"}
    return {"type": "graph_pretraining", "edge_types": "all"}


def _one(pool: Pool, name: str, graph: GraphSection | None) -> str:
    """The target node type; of several the first."""
    types = [str(value) for value in listed(pool.take(name, []))]
    if len(types) > 1:
        pool.near(name, f"a task is about one node type: {types[0]}")
    if types:
        return as_name(types[0])
    return next(iter(graph.nodes), "_N") if graph is not None else "_N"


def _edge(pool: Pool, name: str, graph: GraphSection | None) -> str:
    types = [edge_type_of(value) for value in listed(pool.take(name, []))]
    known = [found for found in types if found is not None]
    if len(types) > 1:
        pool.near(name, f"a task is about one edge type: {edge_name(known[0])}")
    if known:
        return edge_name(known[0])
    first = graph.edges[0] if graph is not None and graph.edges else None
    return "_N:_E:_N" if first is None else f"{first['source']}:{first['relation']}:{first['target']}"


def _by_type(pool: Pool, name: str, node_type: str | None) -> Any:
    """A value for all node types, or one for each."""
    value = pool.take(name)
    return value.get(node_type, next(iter(value.values()), None)) if isinstance(value, dict) else value


def _first_label(graph: GraphSection | None, task: dict[str, Any]) -> str:
    owner = task.get("node_type") or task.get("edge_type")
    for found, label, _ in labels_of(graph) if graph is not None else []:
        if owner == (found if isinstance(found, str) else edge_name(found)):
            return label
    return "label"


def _classes(task: dict[str, Any], pool: Pool, graph: GraphSection | None) -> None:
    if _by_type(pool, "multilabel", task.get("node_type")):
        task["type"] = task["type"].replace("classification", "multi_label")
        if graph is not None:
            set_label_kind(graph, task.get("node_type") or task["edge_type"], task["label"], "classes")
    if pool.take("imbalance_class_weights", note=None) is not None:
        pool.near("imbalance_class_weights", "class_weights: balanced weighs classes by how rare they are")
        task["class_weights"] = "balanced"
    loss = pool.take("class_loss_func", "cross_entropy")
    gamma = pool.take("gamma", note=None)
    if gamma is not None and loss != "focal":
        pool.none("gamma", "of class_loss_func focal alone")
    if loss == "focal":
        if gamma is not None:
            pool.notes.same(pool.key("gamma"))
        task["loss"] = {"type": "focal"} | ({} if gamma is None else {"gamma": float(gamma)})
    if loss == "focal" and pool.take("alpha", note=None) is not None:
        pool.none("alpha", "the loss has no weight of the positive class: task.class_weights, by the name of a class")


def _numbers(task: dict[str, Any], pool: Pool) -> None:
    loss = pool.take("regression_loss_func", "mse")
    if loss == "shrinkage":
        settings = {"a": pool.take("alpha"), "c": pool.take("gamma")}
        task["loss"] = {"type": "shrinkage"} | {name: float(v) for name, v in settings.items() if v is not None}


def _edge_head(task: dict[str, Any], pool: Pool) -> None:
    layers = pool.take("num_ffn_layers_in_decoder")
    if layers is not None and int(layers) > 0:
        task["head_layers"] = min(int(layers) + 1, 4)
    bases = pool.take("num_decoder_basis", note=None)
    decoder = pool.take("decoder_type", None if bases is None else "DenseBiDecoder", note=None)
    if decoder == "DenseBiDecoder":
        task |= {"head_layers": 1, "bases": int(bases or 2)}
        for name in ("decoder_type", "num_decoder_basis"):
            if name in pool:
                pool.notes.same(pool.key(name))
        bases = None
    elif decoder is not None:
        pool.near("decoder_type", "an MLP on both ends' vectors and their product")
    if bases is not None:
        pool.none("num_decoder_basis", "of decoder_type DenseBiDecoder alone")
    features: list[str] = []
    for text in listed(pool.take("decoder_edge_feat", [])):
        names = str(text).rpartition(":")[2]
        features += [name.strip() for name in names.split(",")]
    if features:
        task["inputs"] = {"features": features, "text": []}
    exclude = "exclude_training_targets" if "exclude_training_targets" in pool else "remove_target_edge_type"
    hidden = pool.take(exclude, True, note=None)
    other = pool.take("remove_target_edge_type", note=None)
    said = "exclude_target_edges: the batch's edges, and those of validation and test, pass no messages"
    for name, value in ((exclude, hidden), ("remove_target_edge_type", other)):
        if name in pool and value is not None:
            pool.notes.near(pool.key(name), said)
    if hidden is False:
        task["exclude_target_edges"] = False


def _metrics(task: dict[str, Any], pool: Pool, measures: str) -> None:
    """Metrics with a counterpart; the first of them selects the model."""
    found: dict[str, Any] = {}
    for value in listed(pool.take("eval_metric", [], note=None)):
        metric = _metric(str(value), measures)
        if metric is None:
            reason = _PER_CLASS if str(value).startswith("per_class") else f"there is no such metric of {measures}"
            pool.notes.none(pool.key("eval_metric"), f"{value}: {reason}")
            continue
        pool.notes.same(pool.key("eval_metric"))
        settings = metric.model_dump(mode="json", exclude_defaults=True)
        is_short = all(not isinstance(value, float) or value.is_integer() for value in settings.values())
        found.setdefault(metric.name, metric.name if is_short else settings)
    if found:
        task |= {"metrics": list(found.values()), "select_by": next(iter(found))}


_PER_CLASS = "the report has F1 of every class; { type: roc_auc, of_class: name } or f_beta is of one"


def _metric(name: str, measures: str) -> MetricConfig | None:
    """Our metric; None: there is none of what is measured."""
    at = re.fullmatch(r"(hit|fscore|precision_at_recall|recall_at_precision)(?:_at)?_([\d.]+)", name)
    settings: dict[str, Any] = {"type": _METRICS.get(name, name)}
    if at is not None:
        hits = "hits" if measures == "ranks" else "precision_at_k"
        ours = {"hit": hits, "fscore": "f_beta"}.get(at[1], at[1])
        number = int(at[2]) if at[1] == "hit" else float(at[2])
        settings = {"type": ours, _METRICS_AT[at[1]]: number}
    member = (members_of(MetricConfig) or {}).get(settings["type"])
    fits = getattr(member, "measures", "") == measures
    if measures == "class sets":
        fits = getattr(member, "measures_sets", False)
    return TypeAdapter(MetricConfig).validate_python(settings) if fits else None


# ---------------------------------------------------------------------------------------------------- link prediction


def _links(pool: Pool, graph: GraphSection | None) -> dict[str, Any]:
    types = [found for value in listed(pool.take("train_etype", [])) if (found := edge_type_of(value)) is not None]
    if not types and graph is not None:
        types = [(edge["source"], edge["relation"], edge["target"]) for edge in graph.edges]
    scored = [found for value in listed(pool.take("eval_etype", [])) if (found := edge_type_of(value)) is not None]
    if scored and set(scored) != set(types):
        pool.near("eval_etype", "those of train_etype that have a split are scored")
    task: dict[str, Any] = {"type": "link_prediction"}
    if len(types) == 1:
        task["edge_type"] = edge_name(types[0])
    else:
        task["edge_types"] = [edge_name(t) for t in types] or "all"
    _give_splits(types, pool, graph)
    task |= {
        "head": _head(pool),
        "loss": _loss(pool),
        "negatives": _negatives(pool) | _hard_negatives(types, pool, graph),
    }
    _edge_weight(task, types, pool, graph)
    count = pool.take("num_negative_edges_eval")
    task["ranking"] = {"candidates": int(count)} if count is not None else {}
    if _fixed_candidates(types, pool, graph):
        task["ranking"] = {"candidates": "given"}
    if not task["ranking"]:
        del task["ranking"]
    if pool.take("exclude_training_targets", True) is False:
        pool.none("exclude_training_targets", "false: a batch's own edges never pass messages to their ends")
    pool.take("mask_fields", note="each label has a split of its own")
    _metrics(task, pool, "ranks")
    selecting = edge_type_of(pool.take("model_select_etype", "", note=None))
    if selecting is not None and selecting in types and len(types) > 1:
        task["select_by"] = f"{task.get('select_by', 'mrr')}/{edge_name(selecting)}"
        pool.notes.same(pool.key("model_select_etype"))
    elif "model_select_etype" in pool:
        pool.none("model_select_etype", "the mean over all relations selects, which train_etype names")
    return task


def _give_splits(types: list[tuple[str, str, str]], pool: Pool, graph: GraphSection | None) -> None:
    """Where no edge type has a split, each gets one: else there would be nothing to validate on."""
    edges = {} if graph is None else {t: edge for t in types if (edge := graph.edge(t)) is not None}
    if any("split" in edge for edge in edges.values()):
        return
    for edge_type, edge in edges.items():
        edge["split"] = dict(DEFAULT_SPLIT)
        pool.notes.near(
            pool.key("train_etype"), f"{edge_name(edge_type)} has no link_prediction label: split 0.8, 0.1, 0.1"
        )


def _head(pool: Pool) -> dict[str, Any]:
    wanted = str(pool.take("lp_decoder_type", "distmult"))
    known = members_of(LinkHeadConfig) or {}
    kind = _HEADS.get(wanted, wanted)
    if kind not in known:
        pool.near("lp_decoder_type", f"{wanted}: became distmult")
        kind = "distmult"
    head: dict[str, Any] = {"type": kind}
    if wanted in _NORMS:
        head["norm"] = _NORMS[wanted]
    if "normalize" in known[kind].model_fields:
        head["normalize"] = pool.take("lp_embed_normalizer") == "l2_norm"
    gamma = pool.take("gamma", note=None)
    if gamma is not None and "gamma" in known[kind].model_fields:
        head["gamma"] = float(pool.take("gamma", gamma))
        pool.notes.same(pool.key("gamma"))
    elif gamma is not None:
        pool.none("gamma", f"head {kind} has none")
    return head


def _loss(pool: Pool) -> dict[str, Any]:
    wanted = str(pool.take("lp_loss_func", "cross_entropy"))
    if "adversarial_temperature" in pool and wanted != "cross_entropy":
        pool.none("adversarial_temperature", "of loss cross_entropy alone")
    elif "adversarial_temperature" in pool:
        return {"type": "self_adversarial", "sharpness": float(pool.take("adversarial_temperature"))}
    known = members_of(LinkLossConfig) or {}
    kind = _LOSSES.get(wanted, wanted)
    if kind not in known:
        pool.near("lp_loss_func", f"{wanted}: became cross_entropy")
        kind = "cross_entropy"
    loss: dict[str, Any] = {"type": kind}
    temperature = pool.take("contrastive_loss_temperature")
    if "temperature" in known[kind].model_fields:
        loss["temperature"] = float(temperature or 1.0)
    elif temperature is not None:
        pool.none("contrastive_loss_temperature", f"loss {kind} has none")
    return loss


def _edge_weight(
    task: dict[str, Any], types: list[tuple[str, str, str]], pool: Pool, graph: GraphSection | None
) -> None:
    """`lp_edge_weight_for_loss`: names of features, or 'user,rating,movie:name'."""
    name = "lp_edge_weight_for_loss"
    features = {as_name(str(text).rpartition(":")[2]): None for text in listed(pool.take(name, [], note=None))}
    if not features:
        return
    task["edge_weight"] = next(iter(features))
    edges = [] if graph is None else [edge for t in types if (edge := graph.edge(t)) is not None]
    if edges and not any(task["edge_weight"] in edge.get("features", {}) for edge in edges):
        pool.none(name, f"the graph's construction has no feature {task.pop('edge_weight')} of these edges")
        return
    said = "an edge's negatives weigh as it does; the weights of a step are divided by their sum"
    if len(features) > 1:
        said += f"; one name for all relations: {task['edge_weight']}"
    pool.near(name, said)


def _negatives(pool: Pool) -> dict[str, Any]:
    sampler = str(pool.take("train_negative_sampler", "uniform", note=None))
    count = int(pool.take("num_negative_edges", 16))
    name = "train_negative_sampler"
    in_batch = "inbatch" in sampler
    if sampler == "joint":
        pool.notes.same(pool.key(name), "drawn uniformly, shared by the batch")
    elif name in pool:
        pool.near(
            name, f"{sampler}: drawn uniformly and shared by the batch{', and its other targets' if in_batch else ''}"
        )
    return {"in_batch": in_batch, "uniform": count}


def _fixed_candidates(types: list[tuple[str, str, str]], pool: Pool, graph: GraphSection | None) -> bool:
    """`eval_etypes_negative_dstnode`, as `_hard_negatives`: an edge type has one such column, which training may need,
    and all that are scored must have one."""
    name, used = "eval_etypes_negative_dstnode", False
    for text in listed(pool.take(name, [], note=None)):
        owner, colon, column = str(text).rpartition(":")
        for edge_type in types:
            edge = None if graph is None else graph.edge(edge_type)
            if edge is None or graph is None or (colon and edge_type_of(owner) != edge_type):
                continue
            given = graph.hard_negatives.get(edge_name(edge_type), {}).get(column)
            if given is not None and edge.get("hard_negatives", given) == given:
                edge["hard_negatives"] = given
                used = True
    edges = [] if graph is None else [edge for t in types if (edge := graph.edge(t)) is not None and "split" in edge]
    used = used and all("hard_negatives" in edge for edge in edges)
    if used:
        pool.notes.same(pool.key(name))
    elif name in pool:
        pool.none(name, "the graph's construction has no such column for each edge type, or training has another")
    return used


def _hard_negatives(types: list[tuple[str, str, str]], pool: Pool, graph: GraphSection | None) -> dict[str, Any]:
    """`train_etypes_negative_dstnode`: 'user,rating,movie:wrong', or a name that all types have."""
    used = False
    for text in listed(pool.take("train_etypes_negative_dstnode", [])):
        owner, colon, name = str(text).rpartition(":")
        for edge_type in types:
            if colon and edge_type_of(owner) != edge_type:
                continue
            columns = {} if graph is None else graph.hard_negatives.get(edge_name(edge_type), {})
            edge = None if graph is None else graph.edge(edge_type)
            if edge is not None and name in columns:
                edge["hard_negatives"] = columns[name]
                used = True
    if not used:
        for name in ("train_etypes_negative_dstnode", "num_train_hard_negatives"):
            if name in pool:
                pool.none(name, "the graph's construction has no such column of wrong targets")
        return {}
    counts = [int(str(text).rpartition(":")[2]) for text in listed(pool.take("num_train_hard_negatives", []))]
    return {"type": "hard"} | ({"per_edge": max(counts)} if counts and max(counts) > 0 else {})
