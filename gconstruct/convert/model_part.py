"""Keys of GraphStorm's training YAML about the model: graph network, inputs, language models."""

from __future__ import annotations

from typing import Any

from gconstruct.convert.tables import GraphSection, relation_of
from gconstruct.convert.training import Pool, Training, edge_type_of, listed
from graphstorm_like.config.choice import members_of
from graphstorm_like.config.gnns import GnnConfig

_OF_TYPES = (
    "node_feat_name", "edge_feat_name", "use_node_embeddings", "num_ffn_layers_in_input", "construct_feat_ntype"
)  # fmt: skip
"""Keys that ours has by type."""
_BUILT = "means of the neighbours' features and texts, made before training, whatever the network"


def convert_model(training: Training, graph: GraphSection | None) -> None:
    """Fill the sections `model` and, as far as language models are concerned, `train`."""
    model, pool = training.ours["model"], training.pool
    _gnn(model, pool, graph)
    _language_models(training, graph)
    if graph is not None:
        _node_inputs(model, pool, graph)
        _edge_inputs(model, pool, graph)
        _fill_encoder(model, graph)
        return
    for name in _OF_TYPES:
        if name in pool and pool.take(name):
            pool.none(name, "needs the graph's types: give the JSON of its construction too. All inputs are read")


def _gnn(model: dict[str, Any], pool: Pool, graph: GraphSection | None) -> None:
    kind = str(pool.take("model_encoder_type", "rgcn"))
    layers = int(pool.take("num_layers", 1 if kind not in ("lm", "mlp", "learnable_embed") else 0))
    gnn: dict[str, Any] = {"type": _gnn_type(kind, layers, model, pool, graph)}
    if "hidden_size" in pool:
        gnn["hidden"] = int(pool.take("hidden_size"))
    if gnn["type"] != "none":
        gnn["layers"] = layers
    if "dropout" in pool:
        gnn["dropout"] = float(pool.take("dropout"))
    members = members_of(GnnConfig) or {}
    fields = members[gnn["type"]].model_fields
    heads, bases = pool.take("num_heads", note=None), pool.take("num_bases", note=None)
    for name, value, ours in (("num_heads", heads, "heads"), ("num_bases", bases, "bases")):
        if value is None or int(value) <= 0:
            pool.notes.same(pool.key(name), "each relation has a matrix of its own")
        elif ours in fields:
            gnn[ours] = int(value)
            pool.notes.same(pool.key(name))
        else:
            pool.none(name, f"{gnn['type']} has none")
    if pool.take("use_self_loop", True, note="always so") is False:
        pool.none("use_self_loop", "false: every layer has a self loop")
    norm = pool.take("gnn_norm", pool.take("norm", note=None), note=None)
    if norm == "layer":
        gnn["norm"] = "layer"
    elif norm not in (None, "none"):
        pool.near("gnn_norm" if "gnn_norm" in pool else "norm", f"{norm}: became norm: layer")
    if further := int(pool.take("num_ffn_layers_in_gnn", 0, note=None)):
        gnn["feed_forward"] = further
        pool.notes.same(pool.key("num_ffn_layers_in_gnn"))
    model["gnn"] = gnn


def _gnn_type(kind: str, layers: int, model: dict[str, Any], pool: Pool, graph: GraphSection | None) -> str:
    known = members_of(GnnConfig) or {}
    if kind == "learnable_embed" and graph is not None:
        pool.near("model_encoder_type", "learnable_embed: a vector that learns for every node, and no other input")
        for name in graph.nodes:
            model.setdefault("inputs", {})[name] = {"features": [], "text": [], "embedding": True}
        return "none"
    if kind in ("lm", "mlp", "learnable_embed") or layers == 0:
        pool.near("model_encoder_type", f"{kind}: no messages, an MLP over each node's own inputs: gnn.type: none")
        return "none"
    if kind in known:
        return kind
    pool.near("model_encoder_type", f"{kind}: became rgcn, which has a matrix for each relation")
    return "rgcn"


def _language_models(training: Training, graph: GraphSection | None) -> None:
    """`lm_model`: the model that reads a node type's texts."""
    section, model = training.lm_model, training.ours["model"]
    first: str | None = None
    for entry in [*section.sections("node_lm_models"), *section.sections("bert_models")]:
        name = str(entry.take("model_name"))
        entry.take("lm_type", note="read from the model's own files")
        types = listed(entry.take("node_types", entry.take("node_type", [])))
        if entry.take("gradient_checkpoint"):
            training.ours["train"].setdefault("lm", {})["gradient_checkpointing"] = True
        entry.close()
        _use_encoder(model, name, [str(t) for t in types], first, graph)
        first = first or name
    students = section.sections("distill_lm_models")
    for number, entry in enumerate(students):
        name = str(entry.take("model_name"))
        entry.take("lm_type", note="read from the model's own files")
        entry.close()
        if number == 0:
            training.ours["train"]["_student"] = {"name": name}
        else:
            entry.notes.none(entry.key, "one student a pipeline")
    section.close()


def _use_encoder(
    model: dict[str, Any], name: str, types: list[str], first: str | None, graph: GraphSection | None
) -> None:
    """The first model is everybody's; a later one belongs to its types alone."""
    if first is None or name == first:
        model["text_encoder"] = {"name": name}
        return
    for node_type in types:
        if graph is None or node_type in graph.nodes:
            model.setdefault("inputs", {}).setdefault(node_type, {})["text_encoder"] = {"name": name}


def _fill_encoder(model: dict[str, Any], graph: GraphSection) -> None:
    """Models and lengths as the construction says, where the training says nothing."""
    for owner, name in [*graph.text_models.names.items(), *graph.edge_text_models.names.items()]:
        shared = model.setdefault("text_encoder", {"name": name})
        own = model.get("inputs", {}).get(owner, {})
        if owner in graph.nodes and shared["name"] != name and "text_encoder" not in own:
            model.setdefault("inputs", {}).setdefault(owner, {})["text_encoder"] = {"name": name}
    lengths = {**graph.text_models.max_tokens, **graph.edge_text_models.max_tokens}
    if "text_encoder" in model and lengths:
        model["text_encoder"]["max_tokens"] = max(max(lengths.values()), 3)
    for owner, inputs in model.get("inputs", {}).items():
        if "text_encoder" in inputs and owner in lengths:
            inputs["text_encoder"]["max_tokens"] = max(lengths[owner], 3)
    if not any(entry.get("text") for entry in [*graph.nodes.values(), *graph.edges]):
        model.pop("text_encoder", None)


def _node_inputs(model: dict[str, Any], pool: Pool, graph: GraphSection) -> None:
    """`node_feat_name`: 'movie:title,year', or a name that all types have."""
    wanted: dict[str, list[str]] = {}
    everywhere: list[str] = []
    for text in listed(pool.take("node_feat_name", [])):
        owner, colon, names = str(text).partition(":")
        target = wanted.setdefault(owner, []) if colon else everywhere
        target += [name.strip() for name in (names if colon else owner).split(",")]
    if wanted or everywhere:
        for owner, entry in graph.nodes.items():
            _choose_inputs(model, pool, owner, entry, wanted.get(owner, everywhere))
    layers = int(pool.take("num_ffn_layers_in_input", 0) or 0)
    for owner in graph.nodes if layers else ():
        model.setdefault("inputs", {}).setdefault(owner, {})["layers"] = layers
    for owner in listed(pool.take("construct_feat_ntype", [], note=_BUILT)):
        if owner in graph.nodes:
            model.setdefault("inputs", {}).setdefault(owner, {})["neighbors"] = True
    if pool.take("use_node_embeddings"):
        for owner, entry in graph.nodes.items():
            if entry.get("features") or entry.get("text"):
                model.setdefault("inputs", {}).setdefault(owner, {})["embedding"] = True


def _choose_inputs(model: dict[str, Any], pool: Pool, owner: str, entry: dict[str, Any], names: list[str]) -> None:
    features, texts = list(entry.get("features", {})), list(entry.get("text", {}))
    lost = [name for name in names if name not in features + texts]
    if lost and names:
        pool.notes.near(pool.key("node_feat_name"), f"{owner} has no {', '.join(lost)} here")
    chosen = [name for name in features if name in names]
    if chosen != features:
        model.setdefault("inputs", {}).setdefault(owner, {})["features"] = chosen


def _edge_inputs(model: dict[str, Any], pool: Pool, graph: GraphSection) -> None:
    """`edge_feat_name`: 'user,rating,movie:rate', or a name that all types have."""
    for text in listed(pool.take("edge_feat_name", [])):
        owner, colon, names = str(text).partition(":")
        found = edge_type_of(owner) if colon else None
        wanted = [name.strip() for name in (names if colon else owner).split(",")]
        for edge in graph.edges:
            if found is not None and relation_of(edge) != found:
                continue
            chosen = [name for name in edge.get("features", {}) if name in wanted]
            if chosen:
                model.setdefault("edge_inputs", {})[":".join(relation_of(edge))] = {"features": chosen}
