"""Finds what would stop a run before anything is built: text encoders, packages, device, folders, headers of tables.

All problems are reported together. torch is not imported, and pyarrow only for the tables, so that `gsl validate` is
fast.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from graphstorm_like.config.launchers.local import LocalLaunchConfig
from graphstorm_like.config.model import SHARED
from graphstorm_like.config.pipeline import Pipeline
from graphstorm_like.config.text_encoders import HuggingFaceConfig, TextEncoderConfig
from graphstorm_like.config.yaml_source import Origin
from graphstorm_like.errors import ConfigError, GslError, MissingExtraError, printable
from graphstorm_like.graph.dgl.trust import check_packages
from graphstorm_like.text.check import download_notice, problems_of_encoder
from graphstorm_like.training.tracking import missing_trackers

GPU_DEVICES = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")
"""Of NVIDIA, AMD, and WSL: without any of them, torch need not be asked."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """A problem. key: the YAML key that it is about; text: the whole message, without the YAML's line number."""

    key: str
    text: str


def check_run(pipeline: Pipeline, stages: Sequence[str], fresh: bool, origin: Origin) -> None:
    """Checks at the start of `gsl run`, `construct`, `train` and `launch`. Raises ConfigError with everything that
    would stop them later. Headers of tables are read only when there is another problem to report, because construction
    starts by reading them. When other machines do the work, they check their own packages and devices."""
    from graphstorm_like.launch.state import is_done

    if pipeline.launch.elsewhere:
        return
    needed = [stage for stage in ("construct", "train") if stage in stages]
    needed = [stage for stage in needed if fresh or not is_done(pipeline, stage)]
    if not needed:
        return
    runs_here = isinstance(pipeline.launch, LocalLaunchConfig)
    troubles = [*folder_troubles(pipeline)]
    if runs_here:
        troubles += machine_troubles(pipeline)
    if runs_here and "train" in stages:
        troubles += device_troubles(pipeline)
    if troubles and "construct" in needed:
        troubles += table_troubles(pipeline)
    raise_troubles(troubles, origin)


def check_machine(pipeline: Pipeline, origin: Origin) -> None:
    """As `check_run`, on the machine of a job that another machine has launched. Raises ConfigError."""
    troubles = [*folder_troubles(pipeline), *machine_troubles(pipeline), *device_troubles(pipeline)]
    raise_troubles(troubles, origin)


def check_all(pipeline: Pipeline, origin: Origin, tables: bool) -> list[str]:
    """For `gsl validate`: notices about what a run will do, such as downloading a model. Raises ConfigError with
    everything that would stop it. tables: whether to read the headers of the tables."""
    troubles = [*folder_troubles(pipeline)] if not pipeline.launch.elsewhere else []
    troubles += machine_troubles(pipeline)
    if isinstance(pipeline.launch, LocalLaunchConfig):
        troubles += device_troubles(pipeline)
    else:
        troubles += _launcher_troubles(pipeline)
    if tables:
        troubles += table_troubles(pipeline)
    raise_troubles(troubles, origin)
    notices = [download_notice(config) for _, config in _encoders(pipeline) if isinstance(config, HuggingFaceConfig)]
    return [notice for notice in dict.fromkeys(notices) if notice is not None]


def raise_troubles(troubles: Sequence[Trouble], origin: Origin) -> None:
    """Raise one ConfigError with all problems, in the order of the YAML; none without problems."""
    if not troubles:
        return
    placed = sorted(((origin.place(t.key), t.text) for t in troubles), key=lambda pair: pair[0].order)
    raise ConfigError(dict.fromkeys(printable(f"{place.text}: {text}") for place, text in placed))


def folder_troubles(pipeline: Pipeline) -> Iterator[Trouble]:
    """Folders that cannot be written to. Folders within the output folder are not checked again."""
    folders = {"output": pipeline.output, "cache": pipeline.cache}
    if not pipeline.graph.is_built and pipeline.graph.path is not None and "://" not in pipeline.graph.path:
        folders["graph.path"] = str(Path(pipeline.graph.path).parent)
    for key, folder in folders.items():
        if key != "output" and Path(folder).is_relative_to(pipeline.output):
            continue
        if (reason := _why_not_writable(folder)) is not None:
            yield Trouble(key, f"{key}: must be a folder that can be written to (got {reason}). Choose another one")


def _why_not_writable(path: str) -> str | None:
    """Why no files can be written to a folder, which need not exist yet; None when they can."""
    folder = Path(path)
    while not os.path.lexists(folder) and folder != folder.parent:
        folder = folder.parent
    if not folder.is_dir():
        return f"'{path}', but '{folder}' is not a folder"
    if not os.access(folder, os.W_OK | os.X_OK):
        return f"'{path}', but '{folder}' may not be written to"
    return None


def machine_troubles(pipeline: Pipeline) -> Iterator[Trouble]:
    """Missing text encoders and packages, and max_tokens beyond what an encoder reads."""
    learns = any(phase.trains_lm for phase in pipeline.train.phase_list())
    tune = pipeline.train.lm.tune if learns else None
    for where, config in _encoders(pipeline):
        if isinstance(config, HuggingFaceConfig):
            for key, message in problems_of_encoder(config, tune, where):
                yield Trouble(key, f"{key}: {message}")
    for key, error in missing_trackers(pipeline.train.track):
        yield Trouble(key, str(error))
    if pipeline.graph.partitions.count > 1 and not pipeline.graph.is_built:
        from gconstruct.assign import check_method

        try:
            check_method(pipeline.graph.partitions)
        except GslError as err:
            yield Trouble("graph.partitions.method", str(err))
    if pipeline.launch.uses_dgl:
        try:
            check_packages()
        except GslError as err:
            yield Trouble("launch.store", str(err))


def _encoders(pipeline: Pipeline) -> Iterator[tuple[str, TextEncoderConfig]]:
    """Every text encoder with its dotted key."""
    for name, config in pipeline.model.text_encoders().items():
        yield "model.text_encoder" if name == SHARED else f"model.inputs.{name}.text_encoder", config
    for i, phase in enumerate(pipeline.train.phases or ()):
        for config in phase.own_encoders():
            yield f"train.phases[{i}].text_encoder", config


def may_have_gpu() -> bool:
    """Whether torch may see a GPU, judging by the system's device files."""
    return sys.platform != "linux" or any(Path(device).exists() for device in GPU_DEVICES)


def device_troubles(pipeline: Pipeline) -> Iterator[Trouble]:
    """A GPU that is configured but cannot be available. What only torch can tell is checked when training starts."""
    if pipeline.train.device != "cuda":
        return
    reason = None if may_have_gpu() else "there is no GPU"
    try:
        if version("torch").endswith("+cpu"):
            reason = reason or "torch is installed without CUDA"
    except PackageNotFoundError:
        reason = reason or "torch is not installed"
    if reason is not None:
        key = "train.device"
        yield Trouble(key, f"{key}: must be cpu or auto on this machine (got 'cuda', but {reason})")


def _launcher_troubles(pipeline: Pipeline) -> Iterator[Trouble]:
    """Missing packages of a launcher."""
    from graphstorm_like.launch.launcher import launcher_of

    for extra in launcher_of(pipeline).extras:
        if find_spec(extra.module) is None:
            what = f"launch.on: {pipeline.launch.on}"
            yield Trouble("launch.on", str(MissingExtraError(what, extra.module, extra.name)))


def table_troubles(pipeline: Pipeline) -> Iterator[Trouble]:
    """Problems in the headers of the tables: see gconstruct.table_problems."""
    from gconstruct import table_problems

    for key, message in table_problems(pipeline.graph):
        yield Trouble(key, message)
