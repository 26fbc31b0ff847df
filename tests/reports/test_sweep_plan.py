"""Which runs a sweep has, and what they are called."""

from __future__ import annotations

import pytest

from graphstorm_like.errors import ConfigError
from graphstorm_like.reports.sweep_plan import draw, grid, names, parse_axes, split_values


def test_values_keep_their_commas_in_brackets_and_quotes() -> None:
    assert split_values("1e-3,3e-3") == ["1e-3", "3e-3"]
    assert split_values('[5,5],{a: 1, b: 2},"x,y"') == ["[5,5]", "{a: 1, b: 2}", '"x,y"']


def test_a_grid_has_every_combination_with_a_name_of_its_own() -> None:
    axes = parse_axes(["train.lr=1e-3,3e-3", "model.gnn.layers=1,2", "train.epochs=4"])
    runs = grid(axes)
    assert names(axes, runs) == ["lr=1e-3,layers=1", "lr=1e-3,layers=2", "lr=3e-3,layers=1", "lr=3e-3,layers=2"]
    assert runs[1] == (("train.lr", "1e-3"), ("model.gnn.layers", "2"), ("train.epochs", "4"))
    more = parse_axes(["train.lr=1e-3,2e-3,3e-3", "model.gnn.layers=1,2", "train.epochs=4"])
    assert set(names(axes, runs)) < set(names(more, grid(more))), "a larger sweep finds the runs of a smaller one"


def test_names_tell_keys_and_values_apart() -> None:
    axes = parse_axes(["train.lr=1,2", "train.lm.lr=1,2"])
    assert names(axes, grid(axes))[1] == "train.lr=1,lm.lr=2"
    odd = parse_axes(["train.fanouts=[5,5],[5 5],[5/5]"])
    made = names(odd, grid(odd))
    assert len(set(made)) == 3
    assert all("/" not in name and " " not in name for name in made)


def test_random_runs_are_different_within_their_ranges_and_repeat_with_the_seed() -> None:
    axes = parse_axes(["train.lr=1e-4..1e-2", "model.gnn.layers=1..3", "model.gnn.dropout=0.0..0.5", "seed=0,1"])
    runs = draw(axes, 40, seed=3)
    assert len(set(runs)) == 40
    assert runs[:10] == draw(axes, 10, seed=3)
    assert runs != draw(axes, 40, seed=4)
    rates = [float(dict(run)["train.lr"]) for run in runs]
    assert all(1e-4 <= rate <= 1e-2 for rate in rates)
    assert 10 <= sum(rate < 1e-3 for rate in rates) <= 30, "by ratio: half of them lie below the geometric mean"
    assert {dict(run)["model.gnn.layers"] for run in runs} == {"1", "2", "3"}
    assert len(draw(parse_axes(["seed=0,1,2"]), 10, seed=0)) == 3, "there are not more"


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["train.lr"], "must be written key=value,value"),
        (["seed=1", "seed=2"], "must name each key once"),
        (["train.lr=1e-2..1e-4"], "from a number up to a larger one"),
        (["train.lr=[1"], "must be valid YAML"),
        (["train.lr=1e-4..1e-2"], "Give --random N"),
        (["seed=" + ",".join(map(str, range(40))), "train.epochs=" + ",".join(map(str, range(1, 40)))], "got 1,560"),
    ],
)
def test_mistakes_are_named(texts: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message.replace("(", r"\(")):
        grid(parse_axes(texts))
