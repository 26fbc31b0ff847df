"""Where training computes: device, precision, threads."""

from __future__ import annotations

import os

import torch

from graphstorm_like.config.pipeline import Pipeline
from graphstorm_like.errors import ConfigError


def choose_device(wanted: str) -> torch.device:
    """auto: CUDA where there is one."""
    available = torch.cuda.is_available()
    if wanted == "cuda" and not available:
        raise ConfigError(
            "train.device: must be cpu or auto on this machine (got 'cuda', but torch sees no CUDA device)"
        )
    return torch.device("cuda" if available and wanted != "cpu" else "cpu")


def uses_bfloat16(precision: str, device: torch.device) -> bool:
    """Whether training runs under bfloat16 autocast."""
    from graphstorm_like.text.loading import bf16_in_hardware

    return precision == "bfloat16" or (precision == "auto" and bf16_in_hardware(device))


def set_threads(pipeline: Pipeline) -> int:
    """Compute threads of this process, as launch.threads says; default all cores it may use."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    torch.set_num_threads(pipeline.launch.threads or usable)
    return torch.get_num_threads()
