"""Tiny shops whose models are trained and packed once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from graphstorm_like.config import Pipeline, build_pipeline
from graphstorm_like.deploy.model import Model
from graphstorm_like.deploy.pack import pack
from graphstorm_like.launch.stages import run_pipeline
from graphstorm_like.progress import Reporter
from graphstorm_like.testing.graphs import shop_pipeline, write_shop
from graphstorm_like.testing.text import tiny_text_model

BUYS, SIMILAR = ("user", "buys", "item"), ("item", "similar", "item")


@dataclass(frozen=True)
class Packed:
    """A run and its packed model."""

    pipeline: Pipeline
    folder: Path

    def model(self) -> Model:
        return Model.load(self.folder)

    @property
    def graph(self) -> Path:
        return Path(str(self.pipeline.graph.path))

    def inferred(self, result: str = "predictions") -> pa.Table:
        return read(Path(self.pipeline.output) / "infer" / result)

    def tables(self) -> dict[str, dict[Any, Any]]:
        base = Path(str(self.pipeline.graph.base))
        items, buys, similar = (pq.read_table(base / f"{name}.parquet") for name in ("item", "buys", "similar"))
        return {"nodes": {"item": items}, "edges": {BUYS: buys, SIMILAR: similar}}


def read(folder: Path) -> pa.Table:
    return pa.concat_tables(pq.read_table(path) for path in sorted(folder.glob("*.parquet")))


@pytest.fixture(scope="session")
def make_packed(tmp_path_factory: pytest.TempPathFactory):
    """A function (task, with text, other sections of the pipeline) -> Packed; each is made once."""
    made: dict[str, Packed] = {}

    def make(task: str = "node_classification", text: bool = False, /, **changes: Any) -> Packed:
        key = repr((task, text, changes))
        if key not in made:
            torch.set_num_threads(1)
            folder = tmp_path_factory.mktemp("packed")
            tables = write_shop(folder / "tables", items=80, users=20)
            model = str(tiny_text_model(folder / "lm")) if text else None
            data = shop_pipeline(tables, folder / "run", task, model)
            data["train"]["epochs"] = 1
            for section, values in changes.items():
                data[section] = {**data.get(section, {}), **values}
            pipeline = build_pipeline(data).with_absolute_paths(folder)
            run_pipeline(pipeline, reporter=Reporter(quiet=True))
            made[key] = Packed(pipeline, pack(pipeline.output, folder / "model"))
        return made[key]

    return make


@pytest.fixture(scope="session")
def packed(make_packed: Any) -> Packed:
    """Classes of items from their texts, prices, colours and relations; users have learnt embeddings."""
    found: Packed = make_packed("node_classification", True)
    return found
