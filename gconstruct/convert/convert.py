"""`gsl convert`: GraphStorm's configuration files -> the YAML of a pipeline, and what became of each of their keys."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gconstruct.convert.from_gconstruct import is_gconstruct, read_gconstruct
from gconstruct.convert.from_gsprocessing import is_gsprocessing, read_gsprocessing
from gconstruct.convert.model_part import convert_model
from gconstruct.convert.notes import Note, Notes, Section
from gconstruct.convert.render import render
from gconstruct.convert.several_tasks import convert_tasks, single_tasks
from gconstruct.convert.tables import GraphSection, graph_section
from gconstruct.convert.task_part import convert_task, task_of_graph
from gconstruct.convert.train_part import convert_train
from gconstruct.convert.training import Pool, Training, choose_tasks, is_training, name_reverses, read_training
from gconstruct.convert.training_keys import NO_COUNTERPART
from gconstruct.guess.names import as_name
from graphstorm_like.config.load import build_pipeline
from graphstorm_like.config.yaml_source import parse_yaml
from graphstorm_like.errors import ConfigError, did_you_mean

DGL_GRAPH = "graph"
"""Where `gsl import` is to put the graph when only a training YAML is given."""


@dataclass(frozen=True)
class Converted:
    """text: the YAML. notes: on every key of the files, in their order."""

    text: str
    notes: list[Note]

    def report(self) -> list[str]:
        """What has no counterpart, and what differs, a line each."""
        rank = {"none": "no counterpart", "near": "differs"}
        order = [note for outcome in rank for note in self.notes if note.outcome == outcome]
        same = len({note.key for note in self.notes if note.outcome == "same"})
        lines = [f"{same} keys have a counterpart, {_count(order, 'near')} differ, {_count(order, 'none')} have none"]
        return lines + [f"{rank[note.outcome]}: {note.key}: {note.text}" for note in order]


def _count(notes: Sequence[Note], outcome: str) -> int:
    return len({note.key for note in notes if note.outcome == outcome})


def convert(files: Sequence[str | Path], output: str | Path, task: int | None = None) -> Converted:
    """Convert a JSON of graph construction (either form), a training YAML, or both.

    output: where the YAML will stand; nothing is written. task: which of several tasks, from 1; None: all together.

    Raises ConfigError when a file is of no known form, or when what came of it is no valid pipeline.
    """
    notes = Notes()
    graph, training = _read(files, notes)
    pipeline: dict[str, Any] = {"name": as_name(Path(files[0]).stem)}
    if training is None:
        assert graph is not None
        training = read_training({"gsf": {}}, notes)
        sections = _training_sections(training, graph, [])
        pipeline |= {"graph": _graph(graph), "model": sections["model"], "task": task_of_graph(graph)}
        pipeline["model"].pop("gnn", None)
    else:
        chosen = choose_tasks(training, task)
        sections = _training_sections(training, graph, chosen)
        pipeline |= {"graph": {"path": DGL_GRAPH} if graph is None else _graph(graph), **sections}
    _fit_together(pipeline, graph, notes)
    notes.close_all()
    pipeline = {key: value for key, value in pipeline.items() if value}
    text = render(pipeline, notes, [Path(file).name for file in files], graph is None)
    build_pipeline(parse_yaml(text, str(output)).data, str(output))
    return Converted(text, notes.all)


def _read(files: Sequence[str | Path], notes: Notes) -> tuple[GraphSection | None, Training | None]:
    graph, training = None, None
    for file in files:
        data = _parsed(Path(file))
        if is_gsprocessing(data) and graph is None:
            graph = graph_section(read_gsprocessing(data, notes), notes)
        elif is_gconstruct(data) and graph is None:
            graph = graph_section(read_gconstruct(data, notes), notes)
        elif is_training(data) and training is None:
            training = read_training(data, notes)
        else:
            known = "a JSON of graph construction (with nodes and edges, or with graph), or a training YAML (with gsf)"
            twice = ", one of each" if len(files) > 1 else ""
            raise ConfigError(f"{file}: must be {known}{twice}")
    return graph, training


def _parsed(path: Path) -> Any:
    """The contents of a JSON or YAML file."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: must be a text file in UTF-8. Give GraphStorm's JSON or YAML") from None
    except OSError as error:
        others = [other.name for other in path.parent.glob("*") if other.suffix in (".json", ".yaml", ".yml")]
        advice = did_you_mean(path.name, others) or " Check the path"
        raise ConfigError(f"{path}: must be a file that can be read ({error.strerror}).{advice}") from None
    if path.suffix.lower() == ".json":
        try:
            return json.loads(text)
        except json.JSONDecodeError as error:
            raise ConfigError(f"{path}:{error.lineno}: must be JSON (got: {error.msg})") from None
    return parse_yaml(text, str(path)).data


def _graph(graph: GraphSection) -> dict[str, Any]:
    return {"nodes": graph.nodes, "edges": graph.edges}


def _training_sections(
    training: Training, graph: GraphSection | None, chosen: Sequence[tuple[str, Section]]
) -> dict[str, dict[str, Any]]:
    """model, task, train, infer. A task's own keys go before general ones."""
    general = training.pool
    if chosen:
        training.pool = Pool([*(section for _, section in chosen), *general.sections], general.notes)
    if graph is not None:
        name_reverses(graph, training.pool)
    elif "reverse_edge_types_map" in training.pool:
        training.pool.near("reverse_edge_types_map", "gsl import --reverse names the reverses of a graph folder")
    convert_model(training, graph)
    if len(chosen) > 1:
        training.ours["task"] = convert_tasks(chosen, general, graph)
        training.pool = general
    elif chosen:
        training.ours["task"] = convert_task(chosen[0][0], training.pool, graph)
    elif graph is not None:
        training.ours["task"] = task_of_graph(graph)
    else:
        training.ours["task"] = {"type": "graph_pretraining", "edge_types": "all"}
    if training.pool.sections:
        convert_train(training)
    for _, section in chosen[1:]:
        section.close(NO_COUNTERPART)
    Pool([*(section for _, section in chosen[:1]), *general.sections], general.notes).close()
    return training.ours


def _fit_together(pipeline: dict[str, Any], graph: GraphSection | None, notes: Notes) -> None:
    """What the parts need of each other: labels that exist, text where there is a model, fanouts for each layer."""
    train, gnn = pipeline.get("train", {}), pipeline.get("model", {}).get("gnn", {})
    layers = 0 if gnn.get("type") == "none" else int(gnn.get("layers", 2))
    for section, key in ((train, "fanouts"), (pipeline.get("infer", {}), "fanouts")):
        if key in section and len(section[key]) != layers:
            del section[key]
    if graph is None:
        return
    for task in single_tasks(pipeline["task"]):
        owner = task.get("node_type")
        if owner is not None and owner in graph.nodes and task["label"] not in graph.nodes[owner].get("labels", {}):
            _other_label(task, graph, notes)
    _without_text(pipeline, graph, notes)
    _without_means(pipeline, notes)


def _without_means(pipeline: dict[str, Any], notes: Notes) -> None:
    """Means of neighbours would hold the answers about edges, and they are of inputs that do not learn."""
    about_edges = ("link_prediction", "graph_pretraining", "edge_")
    if any(task["type"].startswith(about_edges) for task in single_tasks(pipeline["task"])):
        why = "for means of neighbours would know the edges"
    elif pipeline.get("train", {}).get("strategy") == "joint":
        why = "for means of neighbours are of fixed vectors, and the language model learns"
    else:
        return
    for node_type, inputs in pipeline.get("model", {}).get("inputs", {}).items():
        if inputs.pop("neighbors", False):
            inputs["embedding"] = True
            notes.near("construct_feat_ntype", f"{node_type}: a vector that learns for each node, {why}")


def _other_label(task: dict[str, Any], graph: GraphSection, notes: Notes) -> None:
    """The construction has no such label: one that it has."""
    labels = graph.nodes[task["node_type"]].get("labels", {})
    if labels:
        notes.near("label_field", f"the graph has no label {task['label']}: became {next(iter(labels))}")
        task["label"] = next(iter(labels))


def _without_text(pipeline: dict[str, Any], graph: GraphSection, notes: Notes) -> None:
    """A strategy that trains a language model needs texts of the nodes that it learns on."""
    train = pipeline.get("train", {})
    has_text = any(entry.get("text") for entry in graph.nodes.values())
    if train.get("strategy", "frozen") != "frozen" and not has_text:
        notes.near("lm_train_nodes", "the graph has no text: strategy frozen")
        train.pop("strategy")
        train.pop("phases", None)
