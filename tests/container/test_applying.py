"""`gsl apply` as a processing job under an emulated /opt/ml: the numbers of the model at hand, and what is refused."""

from __future__ import annotations

import gzip
import io
import json
import shutil
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from graphstorm_like.container.__main__ import main
from graphstorm_like.deploy.model import Model
from graphstorm_like.files import files_below
from tests.deploy.conftest import BUYS, Packed, read


def new_tables(packed: Packed, folder: Path) -> dict[str, Any]:
    """Three new items like the first ones, bought by known users; written to a folder."""
    tables = packed.tables()
    items, buys = tables["nodes"]["item"].slice(0, 3), tables["edges"][BUYS].slice(0, 6)
    ids = [f"new-{i}" for i in range(3)]
    items = items.set_column(0, items.column_names[0], pa.array(ids))
    buys = buys.set_column(1, buys.column_names[1], pa.array(ids * 2))
    folder.mkdir(parents=True)
    pq.write_table(items, folder / "item.parquet")
    pq.write_table(buys, folder / "buys.parquet")
    return {"nodes": {"item": items}, "edges": {BUYS: buys}}


def laid_out(packed: Packed, root: Path) -> Path:
    """The inputs of a job, as SageMaker copies them."""
    inputs = root / "processing/input"
    (inputs / "model").mkdir(parents=True)
    with tarfile.open(inputs / "model/model.tar.gz", "w:gz") as archive:
        for name in files_below(packed.folder):
            archive.add(packed.folder / name, name)
    section = packed.pipeline.model_dump(mode="json")["graph"]
    edge = next(edge for edge in section["edges"] if edge["relation"] == "buys")
    keys = ("source", "relation", "target", "files", "source_id", "target_id")
    graph = {"nodes": {"item": section["nodes"]["item"]}, "edges": [{key: edge[key] for key in keys if key in edge}]}
    (inputs / "told").mkdir()
    (inputs / "told/new.yaml").write_text(json.dumps({"graph": graph}))
    return inputs


def test_new_rows_are_scored_as_at_hand(make_packed: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packed: Packed = make_packed()
    monkeypatch.setenv("SM_ROOT", str(tmp_path))
    inputs = laid_out(packed, tmp_path)
    tables = new_tables(packed, inputs / "tables")
    shutil.copytree(packed.graph, inputs / "graph")
    left = tmp_path / "processing/output"
    left.mkdir()
    assert main(["processing", "apply", "--quiet", 'unknown="mean"', "plugins=false"]) == 0
    mine = read(left / "predictions")
    wanted = Model.load(packed.folder).predict(tables, attach=packed.graph, unknown="mean")
    assert mine["id"].to_pylist() == wanted["id"].to_pylist() == ["new-0", "new-1", "new-2"]
    assert mine["prediction"].equals(wanted["prediction"])
    np.testing.assert_allclose(mine["probability"].to_numpy(), wanted["probability"].to_numpy(), atol=1e-5)
    assert json.loads((left / "manifest.json").read_text())["applied"] == {"attached": True, "unknown": "mean"}
    (inputs / "told/ids").mkdir()
    asked = inputs / "told/ids/asked"
    for name, wanted_id in (("asked", "new-1"), ("asked.csv.gz", "new-2")):
        text = f"{wanted_id}\n" if name == "asked" else f"id\n{wanted_id}\n"
        asked.unlink(missing_ok=True)
        asked = asked.with_name(name)
        asked.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
        shutil.rmtree(left / "predictions")
        assert main(["processing", "apply", "--quiet", 'unknown="mean"', 'format="csv"']) == 0
        scored = next((left / "predictions").glob("*.csv")).read_text()
        assert [name for name in ("new-0", "new-1", "new-2") if name in scored] == [wanted_id]
    assert not list((tmp_path / "processing").glob("gsl-apply-*")), "nothing is left over"


def test_what_cannot_be_applied(make_packed: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SM_ROOT", str(tmp_path))
    inputs = laid_out(make_packed(), tmp_path)

    def refused(*told: str) -> tuple[int, str]:
        code = main(["processing", "apply", *told])
        return code, (tmp_path / "output/message").read_text()

    code, message = refused("unknwn=1")
    assert (code, "launch.apply: unknwn: unknown key" in message) == (2, True)
    code, message = refused()
    assert (code, "must be" in message) == (3, True), "the tables of the YAML are not here"
    with tarfile.open(inputs / "model/model.tar.gz", "w:gz") as archive:
        outside = tarfile.TarInfo("../outside")
        archive.addfile(outside, io.BytesIO())
    code, message = refused()
    assert (code, "model.tar.gz: must be a model.tar.gz that can be read" in message) == (3, True)
    assert not (tmp_path / "processing/outside").exists()
    (inputs / "model/model.tar.gz").unlink()
    code, message = refused()
    assert (code, "must hold one model.tar.gz (got 0)" in message) == (3, True)
