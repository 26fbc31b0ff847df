"""The folder of a run (`output` of a pipeline), as reports and comparisons read it: nothing here computes or changes
anything, and what a run has not written is empty."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from graphstorm_like.config.load import load_pipeline, plugin_names
from graphstorm_like.config.metrics import MetricConfig, selected_metric
from graphstorm_like.config.plugins import import_plugins
from graphstorm_like.config.tasks import TaskConfig
from graphstorm_like.errors import ConfigError, DataError
from graphstorm_like.files import read_object
from graphstorm_like.graph.schema import MANIFEST
from graphstorm_like.hashing import hash_facts
from graphstorm_like.launch.cost import COST_FILE, StageCost, read_cost
from graphstorm_like.launch.mirrored.reading import for_reading
from graphstorm_like.launch.simple_models import BASELINES_FILE, SimpleModels, read_simple_models
from graphstorm_like.launch.stages import ATTACKED, BESIDE_SCORES, METRICS_FILE, PROTOCOL
from graphstorm_like.launch.state import BEST, DONE_FILE, MAIN_FILES, STAGES, weights_id
from graphstorm_like.progress import Reporter
from graphstorm_like.training.kept import KEPT_FILE

CONFIGURATION, CURVES, PHASES = "pipeline.json", "metrics.jsonl", "phases.json"
REPORT_JSON, REPORT_HTML = "report.json", "report.html"


@dataclass(frozen=True, slots=True)
class Curve:
    """What a training phase has logged. Every record has `update`, the number of optimizer steps done, and `epoch`."""

    phase: str
    steps: list[dict[str, Any]] = field(default_factory=list)
    """Single steps: `loss`, `lr`, `grad_norm`, `seeds_per_second`"""
    epochs: list[dict[str, Any]] = field(default_factory=list)
    """Whole epochs: `loss`, the mean over the epoch, and `seconds`"""
    valid: list[dict[str, Any]] = field(default_factory=list)
    """Validations: the task's metrics by name, and `seconds`"""


class RunFolder:
    """A run that has trained at least. Raises DataError when the folder does not hold one."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).absolute()
        settings = read_object(self.path / "train" / CONFIGURATION)
        if settings is None:
            raise DataError(
                f"{path}: must be the output folder of a run, with train/{CONFIGURATION}. Run: gsl run PIPELINE"
            )
        self.settings: dict[str, Any] = settings
        """The resolved configuration that was trained, as nested dicts"""

    @classmethod
    def of(cls, path: str | Path, *, plugins: bool = False) -> RunFolder:
        """An output folder, or the YAML of the pipeline that writes one. Of an output behind a URL what is there is
        fetched. plugins: whether the code of the plug-ins that a folder names may run; those of a YAML run in any
        case."""
        if str(path).endswith((".yaml", ".yml")):
            return cls(for_reading(load_pipeline(path), Reporter(quiet=True), exported=True).output)
        folder = cls(path)
        if plugins:
            import_plugins(plugin_names(folder.settings))
        return folder

    @cached_property
    def task_config(self) -> TaskConfig:
        """The checked section `task`. It needs no code of a plug-in unless the task, or a part of it, is of one.
        ConfigError when this version does not know it."""
        try:
            checked: TaskConfig = TypeAdapter(TaskConfig).validate_python(self.task)
        except ValidationError as error:
            names = plugin_names(self.settings)
            how = f". It may be of a plug-in, whose code does not run here ({', '.join(names)}). If you trust it, "
            how += "allow it: --plugins"
            raise ConfigError(
                f"{self.path / 'train' / CONFIGURATION}: task must be one that this version knows (got "
                f"{error.errors()[0]['msg']}){how if names else ''}"
            ) from None
        return checked

    @property
    def seed(self) -> int:
        """The pipeline's."""
        return int(self.settings.get("seed", 0))

    @property
    def higher_is_better(self) -> bool:
        """Whether the metric that has chosen the model is better when it is higher; of a metric that this version does
        not know: yes, as most are."""
        with suppress(ConfigError, AttributeError, StopIteration):
            return selected_metric(self.task_config).higher_is_better
        for entry in self.task.get("metrics") or []:  # of a task of a plug-in, whose metrics may be ours
            with suppress(ValidationError):
                metric: MetricConfig = TypeAdapter(MetricConfig).validate_python(entry)
                if metric.name == self.select_by:
                    return metric.higher_is_better
        return True

    @property
    def name(self) -> str:
        """Of the pipeline."""
        return str(self.settings.get("name", self.path.name))

    @property
    def task(self) -> dict[str, Any]:
        """The section `task`."""
        return dict(self.settings.get("task", {}))

    @property
    def graph_folder(self) -> Path | None:
        """Where the graph is; None: neither where it was, nor in the output folder."""
        graph = self.settings.get("graph", {})
        places = [Path(str(graph.get("path") or "")), self.path / "graph"]
        return next((place for place in places if (place / MANIFEST).is_file()), None)

    def stage(self, name: str) -> Path:
        """The folder of the results of train, evaluate or infer."""
        return self.path / name

    def done(self, name: str) -> dict[str, Any]:
        """What a stage says of itself when it has finished; empty: it has not."""
        return read_object(self.stage(name) / DONE_FILE) or {}

    # ------------------------------------------------------------------------------------------------- the numbers

    def scores(self) -> dict[str, dict[str, float]]:
        """By split, by metric; empty when the run has not been evaluated."""
        scores = read_object(self.stage("evaluate") / METRICS_FILE) or {}
        return {split: dict(metrics) for split, metrics in scores.items() if split not in BESIDE_SCORES}

    def attacked(self) -> dict[str, dict[str, dict[str, float]]]:
        """Scores under attack: by attack, by split, by metric."""
        return dict((read_object(self.stage("evaluate") / METRICS_FILE) or {}).get(ATTACKED, {}))

    def protocol(self) -> dict[str, Any]:
        """How links were ranked; empty for other tasks."""
        return dict((read_object(self.stage("evaluate") / METRICS_FILE) or {}).get(PROTOCOL, {}))

    def simple_models(self) -> list[SimpleModels]:
        """Return the simple models of each task; empty where none were fitted."""
        return read_simple_models(self.path)

    @property
    def select_by(self) -> str | None:
        """The metric that has chosen the model."""
        name = self.task.get("select_by")
        return name if isinstance(name, str) else None

    def chosen(self) -> dict[str, Any]:
        """The scores by which validation has chosen the model, and `epoch`, counted from 1. Of several kept models
        it is the one that was evaluated; when none was, that of `infer.kept`."""
        train, evaluated = self.stage("train"), self.done("evaluate").get("model")
        kept = (read_object(train / KEPT_FILE) or {}).get("models", [])
        folders = [train / model["folder"] for model in kept]
        if not folders:
            return read_object(train / BEST / METRICS_FILE) or {}
        configured = min(int(self.settings.get("infer", {}).get("kept", 1)), len(folders)) - 1
        found = next((path for path in folders if evaluated and weights_id(path) == evaluated), folders[configured])
        return read_object(found / METRICS_FILE) or {}

    def curves(self) -> list[Curve]:
        """A curve a phase, in order; phases whose folder in the cache is gone have none."""
        phases = (read_object(self.stage("train") / PHASES) or {}).get("phases", [])
        if not phases:
            return [_curve("train", self.stage("train"))]
        last = len(phases) - 1
        folders = [self.stage("train") if i == last else Path(p["folder"]) for i, p in enumerate(phases)]
        curves = [_curve(str(p["name"]), folder) for p, folder in zip(phases, folders, strict=True)]
        return [curve for curve in curves if curve.steps or curve.epochs or curve.valid]

    def cost(self) -> dict[str, StageCost]:
        """Time and memory by stage, of the stages that have recorded them."""
        folders = {stage: self.stage(stage) for stage in STAGES}
        costs = {stage: read_cost(folder / COST_FILE) for stage, folder in folders.items() if stage != "construct"}
        construct = self._construction()
        known = {"construct": construct, **costs}
        return {stage: cost for stage, cost in known.items() if cost is not None}

    def _construction(self) -> StageCost | None:
        """From the record of construction in the graph's own report."""
        if self.graph_folder is None:
            return None
        made = (read_object(self.graph_folder / REPORT_JSON) or {}).get("construction")
        if not isinstance(made, dict):
            return None
        steps = [step for step in made.get("steps", []) if step.get("depth") == 0]
        cpu = sum(float(step["cpu_seconds"]) for step in steps)
        return StageCost(seconds=float(made["seconds"]), cpu_seconds=cpu, peak_bytes=int(made["peak_bytes"]))

    def versions(self) -> dict[str, str | None]:
        """Of Python and the packages that compute, and the git commit."""
        return dict(read_object(self.stage("train") / "versions.json") or {})

    def report(self) -> dict[str, Any]:
        """report.json of this very state of the run; empty when there is none."""
        written = read_object(self.path / REPORT_JSON) or {}
        return written if written.get("fingerprint") == self.fingerprint() else {}

    def fingerprint(self) -> str:
        """Changes when a stage, or the fit of simple models, has written other results."""
        facts = {stage: self.done(stage) for stage in STAGES[1:]}
        simple = read_object(self.path / BASELINES_FILE)
        return hash_facts(facts if simple is None else {**facts, "baselines": simple})

    def exported(self) -> dict[str, Any]:
        """The manifest of infer; empty when there is none."""
        return read_object(self.stage("infer") / MAIN_FILES["infer"]) or {}


def _curve(phase: str, folder: Path) -> Curve:
    curve = Curve(phase)
    kinds = {"train": curve.steps, "epoch": curve.epochs, "valid": curve.valid}
    for record in _records(folder / CURVES):
        if record.get("kind") in kinds and isinstance(record.get("update"), int):
            kinds[record["kind"]].append(record)
    return curve


def _records(path: Path) -> Iterator[dict[str, Any]]:
    """Lines of JSON; a torn one, of a killed run, is left out."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict):
            yield record
