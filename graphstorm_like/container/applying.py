"""A processing job that runs `gsl apply`: a packed model and new tables in, results as of `gsl infer` out.

input/model/model.tar.gz (or the folder that it holds)    input/told/new.yaml, ids/<file>, pairs/<file>
input/tables/ of a launch with --upload                   input/graph/, to attach the new rows to
"""

from __future__ import annotations

import json
import shutil
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from graphstorm_like.config.launchers.sagemaker import ApplyConfig
from graphstorm_like.config.load import check_section
from graphstorm_like.config.yaml_source import parse_value, parse_yaml
from graphstorm_like.deploy.apply import ApplyOptions, apply_model
from graphstorm_like.deploy.folder import MODEL_JSON
from graphstorm_like.deploy.model import Model
from graphstorm_like.errors import ConfigError, DataError
from graphstorm_like.progress import Reporter


def apply(root: Path, told: Sequence[str], quiet: bool) -> None:
    """Score the new tables; results are in processing/output/. told: keys of `launch.apply`, 'key=value'."""
    inputs, target = root / "processing/input", root / "processing/output"
    asked = read_options(told)
    with tempfile.TemporaryDirectory(prefix="gsl-apply-", dir=root / "processing") as work:
        source = Path(work) / "model"
        model = Model.load(unpacked(inputs / "model", source), plugins=asked.plugins, reporter=Reporter(quiet))
        graph = inputs / "graph"
        options = ApplyOptions(
            attach=graph if graph.is_dir() else None,
            unknown=asked.unknown,
            ids=told_file(inputs, "ids"),
            node_type=asked.node_type,
            pairs=told_file(inputs, "pairs"),
            top_k=asked.top_k,
            format=asked.format,
            evaluate=asked.evaluate,
            labels=asked.evaluate,
        )
        scored = Path(work) / "scored"
        apply_model(model, tables_yaml(inputs, Path(work)), scored, options)
        # SageMaker's folder, perhaps a mount, cannot be replaced.
        shutil.copytree(scored, target, dirs_exist_ok=True, copy_function=shutil.move)


def read_options(told: Sequence[str]) -> ApplyConfig:
    """Keys of `launch.apply`. Raises ConfigError for unknown ones and wrong values."""
    given: dict[str, Any] = {}
    for argument in told:
        key, _, value = argument.partition("=")
        given[key] = parse_value(value)
    return check_section(ApplyConfig, given, "launch.apply")


def unpacked(folder: Path, target: Path) -> Path:
    """The model folder in `folder`: that itself, or what its model.tar.gz holds, unpacked to `target`. Nothing is
    written elsewhere, whatever the archive says. Raises DataError."""
    if (folder / MODEL_JSON).is_file():
        return folder
    found = sorted(folder.glob("*.tar.gz"))
    if len(found) != 1:
        raise DataError(f"{folder}: must hold one model.tar.gz (got {len(found)}). Set launch.model to that of a job")
    try:
        with tarfile.open(found[0], "r:gz") as archive:
            archive.extractall(target, filter="data")
    except (OSError, EOFError, tarfile.TarError) as err:
        raise DataError(f"{found[0]}: must be a model.tar.gz that can be read ({err})") from None
    return target


def told_file(inputs: Path, name: str) -> Path | None:
    """The file of ids or pairs, under the name that says how it is read; None: there is none."""
    folder = inputs / "told" / name
    return next(iter(sorted(folder.iterdir())), None) if folder.is_dir() else None


def tables_yaml(inputs: Path, work: Path) -> Path:
    """The YAML of the new tables; those that were copied here are taken from where they lie."""
    path = inputs / "told/new.yaml"
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as err:
        raise ConfigError(f"{path}: must be the YAML of the new tables, as gsl launch copies it ({err})") from None
    data = parse_yaml(text, path.name).data
    if not (inputs / "tables").is_dir() or not isinstance(data, dict) or not isinstance(data.get("graph"), dict):
        return path
    data["graph"]["base"] = str(inputs / "tables")
    changed = work / "new.yaml"
    changed.write_text(json.dumps(data, default=str), encoding="utf-8")
    return changed
