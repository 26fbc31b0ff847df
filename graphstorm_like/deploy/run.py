"""A finished run, found by its output folder or its pipeline's YAML."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from graphstorm_like.config.load import build_pipeline, load_pipeline, plugin_names
from graphstorm_like.config.pipeline import Pipeline
from graphstorm_like.config.plugins import check_named_again
from graphstorm_like.errors import DataError, TrainingError
from graphstorm_like.files import read_object
from graphstorm_like.graph.schema import GraphManifest, read_manifest
from graphstorm_like.launch.fingerprints import stage_fingerprint
from graphstorm_like.launch.state import DONE_FILE, best_weights, model_id, stage_folder
from graphstorm_like.training.checkpoint import check_folder
from graphstorm_like.training.strategies.run import lm_folder


@dataclass(frozen=True)
class FinishedRun:
    """pipeline: with the folders as they are now. manifest: of its graph."""

    pipeline: Pipeline
    manifest: GraphManifest

    @property
    def best(self) -> Path:
        """The folder of the best weights, or of those of `infer.kept`."""
        return best_weights(self.pipeline).parent

    @property
    def language_models(self) -> Path:
        """The folder of the language models that training changed, which may be those of an earlier phase."""
        return lm_folder(stage_folder(self.pipeline, "train"), self.best)

    @property
    def graph(self) -> Path:
        """Its graph folder."""
        return stage_folder(self.pipeline, "construct")

    @property
    def weights_id(self) -> str:
        """Hash of the best weights."""
        found = model_id(self.pipeline)
        assert found is not None, "checked when it was found"
        return found


def finished_run(run: str | Path, kept: int | None = None, *, plugins: bool = False) -> FinishedRun:
    """The run of an output folder or a pipeline's YAML. kept: instead of `infer.kept`. plugins: whether the code of the
    plug-ins that a folder names may run; those of a YAML run in any case. Raises TrainingError unless its
    training has finished, is undamaged, and belongs to the graph that is there; ConfigError when it has no such model.
    """
    path = Path(run)
    pipeline = load_pipeline(path) if path.suffix in (".yaml", ".yml") else _of_folder(path, plugins)
    if kept is not None:
        pipeline = pipeline.model_copy(update={"infer": pipeline.infer.model_copy(update={"kept": kept})})
    done = read_object(stage_folder(pipeline, "train") / DONE_FILE)
    if done is None or not best_weights(pipeline).is_file():
        raise TrainingError(f"{pipeline.output}: must hold a finished training. Run: gsl run")
    check_folder(best_weights(pipeline).parent)
    manifest = read_manifest(stage_folder(pipeline, "construct"))
    if done.get("fingerprint") != stage_fingerprint(pipeline, "train", manifest):
        raise TrainingError(
            f"{pipeline.output}: must hold a training of the present graph, configuration and version (they have "
            f"changed since). Run: gsl run"
        )
    return FinishedRun(pipeline, manifest)


def _of_folder(path: Path, plugins: bool) -> Pipeline:
    """The pipeline that a training wrote down; the folder may have been moved since, with its graph in it."""
    file = path / "train" / "pipeline.json"
    data = read_object(file)
    if data is None:
        raise DataError(
            f"{path}: must be the output folder of a run, or a pipeline's YAML (got no {file.name} in {file.parent}). "
            f"Run: gsl run"
        )
    if not plugins:
        check_named_again(plugin_names(data), f"{path}: the run", "--plugins, or pack(run, target, plugins=True)")
    data["output"] = str(path.absolute())
    if (path / "graph" / "graph.json").is_file():
        data["graph"]["path"] = str((path / "graph").absolute())
    return build_pipeline(data, str(file), plugins=plugins)
