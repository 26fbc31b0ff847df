"""`quality:` fills in what is not given, and where each value of a configuration comes from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from graphstorm_like.cli.main import app
from graphstorm_like.config import build_pipeline, load_pipeline
from graphstorm_like.config.load import load_with_origin
from graphstorm_like.config.presets import PRESETS, preset_line
from graphstorm_like.errors import ConfigError
from graphstorm_like.testing.graphs import shop_pipeline

DOCS = Path(__file__).parents[2] / "docs"


def written(folder: Path, text_model: str | None = "./lm", **train: Any) -> Path:
    """The shop's pipeline with nothing in `train` but what is given; no tables are needed."""
    data = shop_pipeline(folder, folder / "run", text_model=text_model)
    data["train"] = train
    data["model"].get("text_encoder", {}).pop("max_tokens", None)
    path = folder / "pipeline.yaml"
    path.write_text(yaml.safe_dump(data), encoding="utf-8")
    return path


def budgets(path: Path, *overrides: str) -> tuple[Any, ...]:
    train = load_pipeline(path, overrides).train
    assert train.early_stop is not None
    return train.strategy, train.epochs, train.early_stop.patience, [fanout.default for fanout in train.fanouts]


def test_presets_fill_in_what_is_not_given(tmp_path: Path) -> None:
    path = written(tmp_path)
    assert budgets(path, "quality=fast") == ("frozen", 5, 2, [5, 5])
    assert budgets(path, "quality=good", "model.gnn.layers=3") == ("frozen", 20, 4, [10, 10, 10])
    assert budgets(path, "quality=best", "train.epochs=7", "train.fanouts=[3, 3]") == ("staged", 7, 6, [3, 3])
    best = load_pipeline(path, ["quality=best", "train.lm.lr=1e-5", "train.early_stop=null"])
    assert (best.train.lm.lr, best.train.lm.epochs, best.train.early_stop) == (1e-5, 3, None)
    assert load_pipeline(path, ["quality=fast", "model.gnn={type: none}"]).train.epochs == 5


def test_without_text_the_best_is_a_graph_network(tmp_path: Path) -> None:
    assert budgets(written(tmp_path, None), "quality=best")[0] == "frozen"
    path = written(tmp_path)
    assert budgets(path, "quality=best", "model.inputs={item: {text: []}}", "model.text_encoder=null")[0] == "frozen"
    links = "task={type: link_prediction, edge_type: 'user:buys:item'}"
    split = "graph.edges[0].split={train: 0.8, valid: 0.1, test: 0.1}"
    assert budgets(path, "quality=best", links, split)[0] == "frozen", "users have no text"
    links = "task={type: link_prediction, edge_type: 'item:similar:item'}"
    assert budgets(path, "quality=best", links)[0] == "staged"


def test_a_saved_configuration_keeps_its_values(tmp_path: Path) -> None:
    pipeline = load_pipeline(written(tmp_path), ["quality=best"])
    saved = pipeline.model_dump(mode="json")
    assert build_pipeline(saved) == pipeline
    saved["train"]["epochs"] = 11
    assert build_pipeline(saved).train.epochs == 11


def test_wrong_qualities_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"quality: must be 'fast', 'good' or 'best' \(got 'bst'\)"):
        load_pipeline(written(tmp_path), ["quality=bst"])


def test_what_a_preset_sets_is_said(tmp_path: Path) -> None:
    _, origin = load_with_origin(written(tmp_path, epochs=3), ["quality=fast"])
    assert preset_line(origin) == (
        "quality fast sets train.strategy=frozen, train.early_stop.patience=2, train.fanouts=[5, 5], "
        "model.text_encoder.max_tokens=64"
    )
    assert preset_line(load_with_origin(written(tmp_path))[1]) is None


def test_show_config_names_the_source_of_every_value(tmp_path: Path) -> None:
    path, runner = written(tmp_path, epochs=3, fanouts=[4, 4]), CliRunner()
    command = ["show", "config", str(path), "train.lr=1e-4", "--quality", "best"]
    shown = runner.invoke(app, command)
    assert shown.exit_code == 0, shown.output
    copied = tmp_path / "copy.yaml"
    copied.write_text(shown.output, encoding="utf-8")
    assert load_pipeline(copied) == load_pipeline(path, ["train.lr=1e-4", "quality=best"])
    facts = json.loads(runner.invoke(app, [*command, "--json"]).stdout)
    assert set(facts) == {"config", "sources"}
    lines = path.read_text().splitlines()
    sources = facts["sources"]
    assert sources["train.epochs"] == f"{path}:{lines.index('  epochs: 3') + 1}"
    assert sources["train.fanouts[1].default"] == f"{path}:{lines.index('  fanouts:') + 3}"
    assert sources["train.fanouts[1].by_edge_type"] == "default"
    assert sources["graph.nodes.item.files"] == f"{path}:{lines.index('      files: item.parquet') + 1}"
    assert sources["train.lr"] == "override 'train.lr=1e-4'"
    assert sources["train.strategy"] == "quality best"
    assert sources["train.lm.head_lr"] == "default"


def test_the_documentation_has_the_values() -> None:
    from graphstorm_like.config.presets import preset_table

    guide = (DOCS / "guide" / "training-with-text.md").read_text(encoding="utf-8")
    assert f"| key | {' | '.join(PRESETS)} |" in guide
    for key, *cells in preset_table():
        assert f"| `{key}` | {' | '.join(cells)} |" in guide
