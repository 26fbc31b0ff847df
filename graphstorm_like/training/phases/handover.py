"""What phases pass on: the present language models, and the last graph network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from graphstorm_like.config.phases import PhaseConfig
from graphstorm_like.config.pipeline import Pipeline
from graphstorm_like.config.text_encoders import TextEncoderConfig
from graphstorm_like.progress import Reporter
from graphstorm_like.training.artifacts import BEST, LM_FOLDER
from graphstorm_like.training.checkpoint import check_folder
from graphstorm_like.training.experiment import Experiment, build_experiment
from graphstorm_like.training.lm.language_models import encoder_folder


@dataclass(frozen=True)
class Handover:
    """pipeline: the whole pipeline, as configured. encoders: its language models, tuned ones named by their folders."""

    pipeline: Pipeline
    encoders: Mapping[str, TextEncoderConfig]
    tuned: Path | None = None
    """Folder of the language models that training changed; None: they are those of the configuration."""
    graph_network: Path | None = None
    """`best/` of the last phase that trained one."""

    def derived(self, pipeline: Pipeline) -> Pipeline:
        """A phase's pipeline with the language models as they are now."""
        return pipeline.model_copy(update={"model": pipeline.model.with_encoders(dict(self.encoders))})

    def after(self, phase: PhaseConfig, folder: Path) -> Handover:
        """The handover after a phase, whose results are in `folder`. DamagedFileError when these are damaged."""
        best, lms = folder / BEST, folder / BEST / LM_FOLDER
        graph = best if phase.trains_graph else self.graph_network
        if not lms.is_dir():
            return Handover(self.pipeline, self.encoders, self.tuned, graph)
        check_folder(best)
        return Handover(self.pipeline, tuned_encoders(phase.encoders_of(self.encoders), lms), lms, graph)

    def teacher(self, reporter: Reporter) -> Experiment:
        """The last graph network with its weights."""
        assert self.graph_network is not None, "checked by the configuration"
        experiment = build_experiment(self.derived(self.pipeline), reporter)
        experiment.artifacts.load(self.graph_network)
        return experiment


def tuned_encoders(encoders: Mapping[str, TextEncoderConfig], folder: Path) -> dict[str, TextEncoderConfig]:
    """Language models with their names replaced by the folders that training wrote."""
    tuned = {}
    for key, config in encoders.items():
        tuned_folder = folder / encoder_folder(key)
        has_tuned = tuned_folder.is_dir()
        tuned[key] = config.model_copy(update={"name": str(tuned_folder)}) if has_tuned else config
    return tuned
