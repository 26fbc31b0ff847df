"""Strategy custom: any order in which each phase has what it needs, also with a phase and a strategy of a plug-in."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from graphstorm_like.config import Pipeline
from graphstorm_like.errors import ConfigError
from graphstorm_like.launch.stages import Runner, read_scores
from graphstorm_like.testing.graphs import write_shop_pipeline
from graphstorm_like.testing.text import tiny_text_model

from .test_strategies import ALL, QUIET, train

GNN, STUDENT = "{name: gnn, type: gnn}", "{name: student, type: student}"


@pytest.mark.parametrize(
    ("strategy", "phases", "message"),
    [
        ("custom", None, r"train\.phases: must be given for strategy custom"),
        ("custom", "[]", r"train\.phases: must have a phase or more for strategy custom \(got none\)"),
        ("custom", f"[{STUDENT}]", r"gnn or joint\) before phase student.*student learns from that graph network"),
        ("custom", f"[{GNN}, {{name: lm, type: lm}}, {STUDENT}]", "none between them that changes the language model"),
        ("cutsom", f"[{GNN}]", r"train\.strategy: must be 'frozen', .* or 'custom' \(got 'cutsom'\).*mean 'custom'"),
    ],
)
def test_what_is_refused(configured: Callable[..., Pipeline], strategy: str, phases: str | None, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        configured(strategy, *([] if phases is None else [f"train.phases={phases}"]))


def test_a_graph_network_on_a_students_vectors(configured: Callable[..., Pipeline], tmp_path: Path) -> None:
    """No other strategy has this order; the student, of another kind, is the language model of what comes after."""
    other = tiny_text_model(tmp_path / "student", "distilbert")
    student = f"{{name: student, type: student, epochs: 1, text_encoder: {{name: '{other}', max_tokens: 12}}}}"
    pipeline = configured("custom", f"train.phases=[{GNN}, {student}, {{name: gnn2, type: gnn}}]", "train.epochs=2")
    train(pipeline, *ALL)
    (encoder,) = Runner(pipeline, QUIET).trained().pipeline.model.text_encoders().values()
    assert encoder.max_tokens == 12
    assert read_scores(pipeline)["test"]["accuracy"] > 0.6


PLUGIN = '''
"""A phase that trains the language model as `lm` does, under another name, and a strategy with it."""

from typing import Literal

from graphstorm_like.config.phases import LmPhase
from graphstorm_like.config.strategies import Strategy, add_strategy
from graphstorm_like.training.phases.base import PHASES
from graphstorm_like.training.phases.lm import Lm


class WordsPhase(LmPhase):
    type: Literal["words"]


@PHASES.register(WordsPhase)
class Words(Lm):
    pass


add_strategy(Strategy("words_first", ("words", "gnn"), "(words )+gnn", "words (once or more), then gnn"))
'''


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "status", "words"),
    [
        (
            ["train.strategy=custom", "train.phases=[{name: a, type: words}, {name: b, type: gnn}]"],
            0,
            "phase 1 of 2, a",
        ),
        (["train.strategy=words_first"], 0, "phase 1 of 2, words"),
        (["train.strategy=words_frist"], 2, "Did you mean 'words_first'?"),
        (["train.strategy=words_first", "train.phases=[{name: a, type: word}]"], 2, "Did you mean 'words'?"),
    ],
)
def test_a_phase_and_a_strategy_of_a_plug_in(tmp_path: Path, settings: list[str], status: int, words: str) -> None:
    """In a process of its own: what registers stays."""
    yaml = write_shop_pipeline(tmp_path, text_model=str(tiny_text_model(tmp_path / "lm")))
    (tmp_path / "words.py").write_text(PLUGIN)
    more = ["plugins=[./words.py]", "train.epochs=1", "train.lm.epochs=1", "launch.threads=1"]
    gsl = [sys.executable, "-m", "graphstorm_like.cli.main", "run", str(yaml), *more, *settings]
    done = subprocess.run(gsl, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == status, done.stderr
    assert words in done.stdout + done.stderr
