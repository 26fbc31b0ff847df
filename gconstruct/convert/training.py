"""GraphStorm's training YAML -> the sections model, task, train and infer. Its keys mean the same in every section, so
that all of them are looked up together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gconstruct.convert.notes import Notes, Section
from gconstruct.convert.tables import GraphSection
from gconstruct.convert.training_keys import NO_COUNTERPART
from graphstorm_like.config.choice import members_of
from graphstorm_like.config.tasks import TaskConfig
from graphstorm_like.errors import ConfigError

WITHOUT_TASK = ("reconstruct_node_feat", "reconstruct_edge_feat")
RECONSTRUCTED = (
    "task.type: feature_reconstruction and edge_feature_reconstruction learn from features, as runs of their own that "
    "others start from (train.start_from)"
)
"""Of reconstruct_node_feat and reconstruct_edge_feat."""


class Pool:
    """Several sections as one: the first that has a key gives its value."""

    def __init__(self, sections: Sequence[Section], notes: Notes) -> None:
        self.sections, self.notes = list(sections), notes

    def __contains__(self, name: str) -> bool:
        return any(name in section and section.data[name] is not None for section in self.sections)

    def take(self, name: str, default: Any = None, note: str | None = "") -> Any:
        """As Section.take."""
        first: Section | None = None
        for section in self.sections:
            if name not in section or section.data[name] is None:
                continue
            section.take(name, None, note if first is None else None)
            if first is None:
                first = section
            elif first.data[name] != section.data[name]:
                self.notes.near(section.path(name), f"{first.path(name)} goes before it")
            else:
                self.notes.same(section.path(name), f"as {first.path(name)}")
        return default if first is None else first.data[name]

    def key(self, name: str) -> str:
        """Where a key stands."""
        has_value = (section.path(name) for section in self.sections if section.data.get(name) is not None)
        return next(has_value, name)

    def near(self, name: str, text: str) -> None:
        """Take a key, and note how ours differs."""
        self.take(name, note=None)
        self.notes.near(self.key(name), text)

    def none(self, name: str, text: str) -> None:
        """Take a key, and note why it has no counterpart."""
        self.take(name, note=None)
        self.notes.none(self.key(name), text)

    def close(self) -> None:
        """Note all keys that nobody took."""
        for section in self.sections:
            section.close(NO_COUNTERPART)


@dataclass
class Training:
    """A training YAML, sorted. tasks: (type, its section), those that can be taken."""

    pool: Pool
    lm_model: Section
    tasks: list[tuple[str, Section]]
    ours: dict[str, dict[str, Any]] = field(default_factory=lambda: {"model": {}, "task": {}, "train": {}, "infer": {}})


def is_training(data: Any) -> bool:
    """Whether a YAML file is of this form."""
    return isinstance(data, dict) and isinstance(data.get("gsf"), dict)


def read_training(data: Any, notes: Notes) -> Training:
    """Sort the sections. Raises ConfigError when one is not a mapping."""
    root = Section(data, "", notes)
    root.take("version", note="says which form the file has")
    lm_model, gsf = root.section("lm_model"), root.section("gsf")
    general, tasks = [], []
    for name, value in gsf.data.items():
        if name == "multi_task_learning":
            tasks += _multi_task(gsf, notes)
        elif _is_task(name):
            tasks.append((name, gsf.section(name)))
        elif name in WITHOUT_TASK:
            gsf.take(name, note=None)
            notes.none(gsf.path(name), RECONSTRUCTED)
        elif isinstance(value, Mapping):
            general.append(gsf.section(name))
        else:
            gsf.take(name, note=None)
            if value is not None:
                notes.none(gsf.path(name), "must be a section with keys")
    root.section("udf").close(dict.fromkeys(_keys(root.data.get("udf")), "keys of your own code"))
    root.close()
    return Training(Pool(general, notes), lm_model, tasks)


def _is_task(name: str) -> bool:
    """Sections of a task have the names that ours have."""
    return name in (members_of(TaskConfig) or {})


def _keys(value: Any) -> list[str]:
    return list(value) if isinstance(value, Mapping) else []


def _multi_task(gsf: Section, notes: Notes) -> list[tuple[str, Section]]:
    tasks = []
    for item in gsf.sections("multi_task_learning"):
        for name in item.data:
            if _is_task(name):
                tasks.append((name, item.section(name)))
            else:
                item.take(name, note=None)
                notes.none(item.path(name), RECONSTRUCTED)
    return tasks


def choose_tasks(training: Training, number: int | None) -> list[tuple[str, Section]]:
    """One of the tasks, from 1, or all of them; the others are noted.

    Raises ConfigError when there is no task of this number.
    """
    if not training.tasks or number is None:
        return training.tasks
    if not 1 <= number <= len(training.tasks):
        raise ConfigError(f"--task: must be from 1 to {len(training.tasks)}, one of the YAML's tasks (got {number})")
    for other, (kind, section) in enumerate(training.tasks, 1):
        if other != number:
            said = f"{kind}: left out; all tasks together: without --task, this one alone: --task {other}"
            section.notes.none(section.key, said)
    return [training.tasks[number - 1]]


def edge_type_of(text: Any) -> tuple[str, str, str] | None:
    """'user,rating,movie' as an edge type."""
    parts = [part.strip() for part in str(text).split(",")]
    return (parts[0], parts[1], parts[2]) if len(parts) == 3 else None


def listed(value: Any) -> list[Any]:
    """A value or a list of them as a list."""
    return list(value) if isinstance(value, list | tuple) else [value]


def name_reverses(graph: GraphSection, pool: Pool) -> None:
    """`reverse_edge_types_map`: 'user,rating,rating-rev,movie' names the reverse relation."""
    known = {(edge["source"], edge["relation"], edge["target"]): edge for edge in graph.edges}
    for text in listed(pool.take("reverse_edge_types_map", [])):
        parts = [part.strip() for part in str(text).split(",")]
        if len(parts) != 4:
            pool.notes.none(pool.key("reverse_edge_types_map"), f"must be head,relation,reverse,tail (got {text!r})")
            continue
        source, relation, reverse, target = parts
        edge = known.get((source, relation, target))
        if (target, reverse, source) in known:
            said = f"{target}:{reverse}:{source} has a table of its own: its edges are not taken for reverses"
            pool.notes.near(pool.key("reverse_edge_types_map"), said)
            if edge is not None:
                edge["reverse"] = False
        elif edge is not None and reverse != f"{relation}_rev":
            edge["reverse"] = reverse
