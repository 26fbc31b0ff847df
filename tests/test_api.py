"""The Python face: the same run from a YAML, from dicts and from data frames, and what it says of new rows."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

import graphstorm_like
from graphstorm_like import Project
from graphstorm_like.deploy.model import Model
from graphstorm_like.errors import ConfigError, TrainingError
from graphstorm_like.testing.graphs import CLASSES, shop_pipeline, write_shop

SHOP = Path(__file__).parents[1] / "training_scripts" / "shop"
NOTEBOOK = Path(__file__).parents[1] / "training_scripts" / "notebook" / "shop.ipynb"


def sections(tables: Path, output: Path) -> dict[str, Any]:
    """The tiny shop with a frame for each file; one epoch. Items have no learnt vectors, which new ones would lack."""
    data = shop_pipeline(tables, output)
    data["model"]["inputs"] = {"item": {"text": []}}
    data["train"]["epochs"] = 1
    graph = data["graph"]
    for entry in [graph["nodes"]["item"], *graph["edges"]]:
        entry["table"] = pq.read_table(tables / entry.pop("files"))
    return data


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Project:
    folder = tmp_path_factory.mktemp("project")
    data = sections(write_shop(folder / "tables", items=60, users=20), folder / "run")
    shutil.rmtree(folder / "tables")  # tables are in memory
    graph = data.pop("graph")
    return Project(nodes=graph["nodes"], edges=graph["edges"], quiet=True, **data).fit()


def test_a_run_of_tables_in_memory(fitted: Project, tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    scores = fitted.evaluate()
    assert set(scores) == {"valid", "test"}
    assert f"<td>{scores['test']['accuracy']:.4f}</td>" in fitted._repr_html_()
    predicted = fitted.predict()
    assert isinstance(predicted, pandas.DataFrame)
    assert sorted(predicted["id"]) == [f"item-{i:04d}" for i in range(60)]
    tested = predicted[predicted["split"] == "test"]
    assert (tested["label"] == tested["prediction"]).mean() == pytest.approx(scores["test"]["accuracy"])
    vectors = fitted.embeddings("user")
    assert vectors.shape == (20, 16)
    assert "u3" in vectors.index
    page = fitted.report()
    assert page.name == "report.html"
    assert page.stat().st_size > 1000
    assert Model.load(fitted.save(tmp_path / "model")).describe()["classes"] == list(CLASSES)


def test_new_rows_see_the_old_ones(fitted: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows are attached to the project's graph, and alone are spoken of. Without pandas, results are Arrow tables."""
    monkeypatch.setattr("graphstorm_like.api.find_spec", lambda name: None)
    new = {"id": ["new"], "title": ["a novel"], "price": [2.0], "colour": ["red"]}
    bought = {"source": ["u3"], "target": ["new"]}
    tables = {"nodes": {"item": new}, "edges": {("user", "buys", "item"): bought}}
    seen = fitted.predict(tables)
    alone = fitted.predict({"nodes": {"item": new}})
    assert isinstance(seen, pa.Table)
    assert seen["id"].to_pylist() == alone["id"].to_pylist() == ["new"]
    assert seen["prediction"][0].as_py() in CLASSES
    assert fitted.embeddings("item", tables) != fitted.embeddings("item", {"nodes": {"item": new}}), "u3 is seen"


def test_the_same_configuration_is_the_same_run(fitted: Project, tmp_path: Path) -> None:
    """Dicts, and a YAML of files: nothing is trained again, and another configuration finds no training."""
    data = sections(write_shop(tmp_path / "tables", items=60, users=20), Path(fitted.pipeline.output))
    before = (Path(fitted.pipeline.output) / "train" / "done.json").stat().st_mtime_ns
    again = Project(data, quiet=True).fit()
    assert (Path(again.pipeline.output) / "train" / "done.json").stat().st_mtime_ns == before
    other = Project({**data, "seed": 7})
    with pytest.raises(TrainingError, match=r"must hold a finished training of this configuration .* Call fit\(\)"):
        other.predict()
    path = tmp_path / "pipeline.yaml"
    path.write_text(yaml.safe_dump(shop_pipeline(tmp_path / "tables", tmp_path / "run")), encoding="utf-8")
    assert Project(path, ["train.epochs=7"]).pipeline.train.epochs == 7


def test_what_is_refused(fitted: Project, tmp_path: Path) -> None:
    table = pa.table({"id": ["a"]})
    with pytest.raises(ConfigError, match=r"project: modle: unknown key .* Did you mean 'model'"):
        Project(nodes={"item": {"table": table, "id": "id"}}, task={"type": "node_classification"}, modle={})
    with pytest.raises(ConfigError, match="must be given alone"):
        Project("pipeline.yaml", nodes={})
    with pytest.raises(ConfigError, match="overrides: must be left out"):
        Project({}, ["train.epochs=3"])
    data = sections(write_shop(tmp_path / "tables", items=20, users=5), tmp_path / "run")
    with pytest.raises(ConfigError, match="launch: must be one trainer on this machine where tables are in memory"):
        Project({**data, "launch": {"trainers": 2}})
    with pytest.raises(ConfigError, match=r"new: must be tables by type, .* \(got Table\)"):
        fitted.predict(table)


def test_importing_the_package_is_light() -> None:
    code = "import sys, graphstorm_like; sys.exit('torch' in sys.modules or 'pyarrow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
    with pytest.raises(AttributeError, match="has no attribute 'Projekt'"):
        graphstorm_like.Projekt  # noqa: B018


def test_the_notebook_is_kept_without_outputs() -> None:
    nbformat = pytest.importorskip("nbformat")
    book = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(book)
    assert [cell for cell in book.cells if cell.get("outputs") or cell.get("execution_count")] == []


@pytest.mark.slow
def test_the_notebook_runs(tmp_path: Path) -> None:
    """In a copy, from its own folder."""
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("pandas")
    pytest.importorskip("ipykernel")
    shutil.copytree(SHOP / "tables", tmp_path / "shop" / "tables")
    folder = tmp_path / "notebook"
    folder.mkdir()
    shutil.copy(NOTEBOOK, folder)
    book = nbformat.read(folder / NOTEBOOK.name, as_version=4)
    client = nbclient.NotebookClient(
        book, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    )
    client.execute()
    shown = "".join(str(output) for cell in book.cells for output in cell.get("outputs", ()))
    assert "P-new" in shown
    assert (folder / "runs" / "shop" / "report.html").is_file()
