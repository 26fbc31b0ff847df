"""Pipelines over the graphs of `testing.unlike`, and each of them run once from tables to results."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from graphstorm_like.config import Pipeline, build_pipeline
from graphstorm_like.launch.stages import run_pipeline
from graphstorm_like.progress import Reporter
from graphstorm_like.testing.text import tiny_text_model
from graphstorm_like.testing.unlike import UNLIKE, Unlike, write_unlike


@dataclass(frozen=True)
class Case:
    """One graph, and the folder that its tables and runs lie in. data: the pipeline, with a text encoder if need be."""

    name: str
    unlike: Unlike
    folder: Path
    data: dict[str, Any]

    def pipeline(self, output: str, graph: str = "graph", partitions: int = 1, **launch: Any) -> Pipeline:
        """With outputs of its own."""
        data = {**self.data, "output": str(self.folder / output), "launch": {"threads": 1, **launch}}
        parts = {"path": str(self.folder / graph), "partitions": {"count": partitions}}
        data["graph"] = {**data["graph"], **parts}
        return build_pipeline(data).with_absolute_paths(self.folder)


@pytest.fixture(scope="session")
def write_case(tmp_path_factory: pytest.TempPathFactory):
    """Name -> Case, with tables that no other test has."""

    def write(name: str) -> Case:
        folder = tmp_path_factory.mktemp(name)
        unlike = write_unlike(name, folder / "tables")
        data = unlike.pipeline
        if unlike.reads_text:
            encoder = {"name": str(tiny_text_model(folder / "lm")), "max_tokens": 16, "dtype": "float32"}
            data = {**data, "model": {**data["model"], "text_encoder": encoder}}
        return Case(name, unlike, folder, data)

    return write


LARGE = ("wide", "many_relations")
"""Graphs whose runs take many seconds"""


def _param(name: str) -> Any:
    return pytest.param(name, marks=pytest.mark.slow) if name in LARGE else name


@pytest.fixture(scope="session", params=[_param(name) for name in UNLIKE])
def case(request: pytest.FixtureRequest, write_case: Any) -> Case:
    """Each graph, constructed, trained, evaluated and exported in the folder `run` by one process."""
    torch.set_num_threads(1)
    made: Case = write_case(request.param)
    run_pipeline(made.pipeline("run"), reporter=Reporter(quiet=True))
    return made
