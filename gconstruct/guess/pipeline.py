"""`gsl init`: files and folders of tables -> the YAML of a first pipeline, and what was decided."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gconstruct.guess.draft import draft, summary
from gconstruct.guess.measure import measure
from gconstruct.guess.names import as_name
from gconstruct.guess.render import render
from gconstruct.guess.shape import shape_of
from gconstruct.guess.sources import find_sources
from graphstorm_like.config.load import build_pipeline
from graphstorm_like.config.yaml_source import parse_yaml
from graphstorm_like.errors import DataError


@dataclass(frozen=True)
class Guess:
    """text: the YAML. decisions: what it rests on, and what is unsure, in a few lines."""

    text: str
    decisions: list[str]


def guess_pipeline(
    paths: Sequence[str], output: str | Path, target: str | None = None, text_encoder: str | None = None
) -> Guess:
    """Look at tables, and write down what they seem to be. `output`: where the YAML will stand; nothing is written.

    target: what to predict, 'item.category' or 'user:buys:item'; None: the likeliest label. text_encoder: a model that
    is installed; None: their words are read.

    Raises DataError when a table cannot be read or none has ids, ConfigError when the target is not there.
    """
    folder = str(Path(output).absolute().parent)
    tables = {facts.name: facts for facts in measure(find_sources(paths))}
    shape = shape_of(tables)
    if not shape.nodes:
        found = "; ".join(f"{name}: {why}" for name, why in shape.left_out.items())
        raise DataError(
            f"tables: must make a graph: at least one table with an id for every row, or one of pairs ({found}). "
            "Add an id column, or write the YAML by hand"
        )
    made = draft(shape, target, text_encoder)
    name = as_name(os.path.basename(_common_folder(paths)) or "pipeline")
    text = render(made, name, folder, f"gsl run {output}")
    build_pipeline(parse_yaml(text, str(output)).data, str(output))
    return Guess(text, summary(made))


def _common_folder(paths: Sequence[str]) -> str:
    """The folder that the pipeline is named after: not one that is called tables, data or by one letter."""
    local = [path for path in paths if "://" not in path]
    if not local:
        return ""
    folders = [path if os.path.isdir(path) else os.path.dirname(path) or "." for path in map(os.path.abspath, local)]
    common = Path(os.path.commonpath(folders))
    plain = {"tables", "table", "data", "dataset", "raw", "input", "inputs", "csv", "parquet", "files"}
    while (common.name.lower() in plain or len(common.name) == 1) and common.parent.name:
        common = common.parent
    return str(common)
