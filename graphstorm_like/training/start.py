"""Warm start: chosen parts of another run's best model, before the first step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from graphstorm_like.config.train import Part, StartFromConfig
from graphstorm_like.errors import DamagedFileError, TrainingError
from graphstorm_like.files import read_object
from graphstorm_like.training.artifacts import ORDER_FILE, Artifacts
from graphstorm_like.training.checkpoint import MODEL_FILE
from graphstorm_like.training.start_run import best_folder

PREFIXES: dict[Part, str] = {"inputs": "model.inputs.", "gnn": "model.gnn.", "head": "task."}
"""Of names of weights; embeddings have files of their own."""
WHERE = "train.start_from"


def start_from(config: StartFromConfig, artifacts: Artifacts) -> list[str]:
    """Load the chosen parts; returns lines about them. TrainingError names weights that do not fit."""
    folder = best_folder(config)
    try:
        saved = load_file(folder / MODEL_FILE)
    except (OSError, SafetensorError) as err:
        raise DamagedFileError(
            f"{folder / MODEL_FILE}: must be a whole safetensors file ({err}). Train that run again"
        ) from err
    present = artifacts.modules.state_dict()
    order = read_object(folder / ORDER_FILE)
    lines: list[str] = []
    taken: dict[str, Tensor] = {}
    for part in config.parts:
        if part == "embeddings":
            tables = _load_embeddings(folder, artifacts)
            _check_something(config, part, len(tables))
            lines += tables
            continue
        _check_order(part, folder, order, artifacts.order)
        names = [name for name in present if name.startswith(PREFIXES[part])]
        there = {name for name in saved if name.startswith(PREFIXES[part])}
        wrong = [name for name in names if name not in saved or saved[name].shape != present[name].shape]
        wrong += sorted(there - set(names))
        if wrong:
            raise TrainingError(
                f"{WHERE}.parts: {part} of {folder} must fit this model ({len(wrong)} weights do not, e.g. "
                f"{', '.join(wrong[:3])}). Leave {part} out, or look at the graph and the model section"
            )
        _check_something(config, part, len(names))
        taken |= {name: saved[name] for name in names}
        lines.append(f"{part}: {len(names)} tensors")
    with torch.no_grad():
        artifacts.modules.load_state_dict(taken, strict=False)  # compared above
    return lines


def _check_order(part: Part, folder: Path, saved: Mapping[str, Any] | None, order: Mapping[str, Sequence[str]]) -> None:
    """Weights have numbers: those of both models must belong to the same types, relations and classes."""
    types = {"node_types", "edge_types"}
    kinds = sorted((order.keys() | (saved or {}).keys()) - types if part == "head" else types)
    for kind in kinds:
        here, there = list(order.get(kind, [])), None if saved is None else saved.get(kind, [])
        if there != here:
            remedy = "give both graphs the same order"
            if part == "head":
                remedy = "start from a run of this task and these classes"
            raise TrainingError(
                f"{WHERE}.parts: {part} of {folder} must fit this model (its {kind.replace('_', ' ')} are "
                f"{'not known' if there is None else there}, this model's {here}). Leave {part} out of {WHERE}.parts, "
                f"or {remedy}"
            )


def _check_something(config: StartFromConfig, part: Part, count: int) -> None:
    if not count and "parts" in config.model_fields_set:
        raise TrainingError(f"{WHERE}.parts: {part} must be something that this model has (got none). Leave {part} out")


def _load_embeddings(folder: Path, artifacts: Artifacts) -> list[str]:
    lines = []
    for node_type, table in artifacts.embeddings.items():
        try:
            table.load(folder)
        except (DamagedFileError, TrainingError) as err:
            raise TrainingError(
                f"{WHERE}.parts: embeddings of {node_type} must be of the same nodes ({err}). Leave embeddings out"
            ) from None
        lines.append(f"embeddings of {node_type}")
    artifacts.ranks.barrier("loading weights to start from")
    return lines
