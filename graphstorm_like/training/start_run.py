"""The run that `train.start_from` names: where its weights are, and what of them fingerprints hold. Needs no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from graphstorm_like.config.train import StartFromConfig
from graphstorm_like.errors import ConfigError, DataError
from graphstorm_like.files import check_saved, read_hashes

MODEL_FILE = "model.safetensors"
PHASE_DONE = "phase.json"
"""In the folder of a phase of training that is done."""


def best_folder(config: StartFromConfig) -> Path:
    """Where the other run's weights are."""
    return Path(config.run) / "train" / "best"


def start_facts(config: StartFromConfig | None) -> dict[str, Any]:
    """What results depend on: the parts, and the content of the weights; empty without a run to start from."""
    if config is None:
        return {}
    try:
        hashes = {name: record[3] for name, record in read_hashes(best_folder(config)).items()}
    except (DataError, OSError):
        hashes = {}
    weights = {name: value for name, value in hashes.items() if name.endswith(".safetensors") and "/" not in name}
    return {"start_from": {"parts": sorted(config.parts), "weights": weights}}


def check_start(config: StartFromConfig | None) -> None:
    """Raise ConfigError now unless the other run has a whole model."""
    if config is None:
        return
    folder = best_folder(config)
    try:
        if not (folder / MODEL_FILE).is_file():
            raise DataError(f"{folder / MODEL_FILE} is missing")
        check_saved(folder, "Train that run again")
    except (DataError, OSError) as err:
        raise ConfigError(
            f"train.start_from.run: must be the output folder of a run with a whole model (got {config.run}: {err})"
        ) from None
