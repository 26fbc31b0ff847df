"""Where a process computes: device, precision, threads."""

from __future__ import annotations

import os

import torch

from graphstorm_like.allocator import peak_rss
from graphstorm_like.errors import ConfigError


def choose_device(requested: str) -> torch.device:
    """auto: CUDA where there is one."""
    available = torch.cuda.is_available()
    if requested == "cuda" and not available:
        raise ConfigError(
            "train.device: must be cpu or auto on this machine (got 'cuda', but torch sees no CUDA device)"
        )
    return torch.device("cuda" if available and requested != "cpu" else "cpu")


def uses_bfloat16(precision: str, device: torch.device) -> bool:
    """Whether training runs under bfloat16 autocast."""
    return precision == "bfloat16" or (precision == "auto" and bf16_in_hardware(device))


def peak_memory(device: torch.device) -> dict[str, int]:
    """Return peaks of this process in bytes. peak_rss_bytes: resident memory, see `peak_rss`; gpu_bytes: tensors on
    its GPU, where it has one."""
    peaks = {"peak_rss_bytes": peak_rss()}
    if device.type == "cuda":
        peaks["gpu_bytes"] = torch.cuda.max_memory_allocated(device)
    return peaks


def set_threads(threads: int | None) -> int:
    """Compute threads of this process: as `launch.threads` says; None: all cores that it may use."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    torch.set_num_threads(threads or usable)
    return torch.get_num_threads()


def bf16_in_hardware(device: torch.device) -> bool:
    """Whether bfloat16 products run in hardware there: without it they are slower than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    if device.type != "cpu":
        return False
    return _cpu_has("_is_avx512_bf16_supported") or amx_in_hardware(device)


def amx_in_hardware(device: torch.device) -> bool:
    """Whether bfloat16 products run on matrix tiles of an Intel CPU, so fast that the rest of a layer counts."""
    return device.type == "cpu" and _cpu_has("_is_amx_tile_supported")


def _cpu_has(check: str) -> bool:
    """The answer of a private function of torch.cpu; False in versions of torch that lack it."""
    return bool(getattr(torch.cpu, check, bool)())
