"""Where a process computes: device, precision, threads."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

import torch

from graphstorm_like.errors import ConfigError

_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


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


def reset_peak_rss() -> None:
    """Let `peak_rss` count from now on, where the kernel permits it."""
    with suppress(OSError):
        _RESET.write_text("5")


def peak_rss() -> int:
    """Return the most resident memory that this process has had since `reset_peak_rss`, or since its start, in bytes;
    pages of mapped files included. 0: the system does not tell."""
    with suppress(OSError, ValueError, StopIteration):
        line = next(text for text in _STATUS.read_text().splitlines() if text.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    try:
        import resource
    except ImportError:  # not a POSIX system
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # on Linux it would remember the parent's before exec
    return int(peak) if sys.platform == "darwin" else int(peak) * 1024


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
