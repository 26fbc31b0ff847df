"""`train.strategy`: the order of the phases. A strategy is a row of a table, to which plug-ins may add."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from graphstorm_like.config.base import NameIn
from graphstorm_like.config.choice import members_of
from graphstorm_like.config.phases import PhaseConfig
from graphstorm_like.errors import ConfigError


@dataclass(frozen=True)
class Strategy:
    """A row of the table."""

    name: str
    default: tuple[str, ...]
    """Types of its phases when `train.phases` is not given; empty: it must be given."""
    order: str | None = None
    """Regular expression for the types of `train.phases`, joined by blanks; None: any order in which each phase has
    what it needs."""
    order_in_words: str = ""


_strategies: dict[str, Strategy] = {}


def add_strategy(strategy: Strategy) -> None:
    """Let `train.strategy` choose it. Raises ConfigError when another one has its name."""
    if _strategies.setdefault(strategy.name, strategy) != strategy:
        raise ConfigError(
            f"strategy: {strategy.name}: must be one strategy (got another one of that name). Give one of them another "
            f"name"
        )


for _row in (
    Strategy("frozen", ("gnn",), r"gnn", "gnn"),
    Strategy("lm_only", ("lm",), r"(lm )*lm", "lm, once or more"),
    Strategy("staged", ("lm", "gnn"), r"(lm )+gnn( joint)?", "lm (once or more), gnn, and then joint or not"),
    Strategy("joint", ("joint",), r"(lm )*(gnn )?joint", "joint, with lm and gnn before it or not"),
    Strategy(
        "glem",
        ("lm", "gnn", "pseudo", "gnn"),
        r"(lm )*gnn( pseudo gnn)+",
        "lm or not, gnn, then pseudo and gnn, once or more",
    ),
    Strategy("distill", ("gnn", "student"), r"(lm )*gnn( joint)? student", "lm or not, gnn, joint or not, student"),
    Strategy("custom", ()),
):
    add_strategy(_row)


StrategyName = Annotated[str, NameIn(_strategies)]


def complete_strategies() -> list[str]:
    """Names of the strategies that have phases of their own when `train.phases` is not given."""
    return [row.name for row in _strategies.values() if row.default]


def default_phases(strategy: str) -> list[PhaseConfig]:
    """The phases of a strategy, named by their types; a second one of a type is gnn2."""
    types = members_of(PhaseConfig)
    assert types is not None
    phases: list[PhaseConfig] = []
    for kind in _strategies[strategy].default:
        before = sum(phase.type == kind for phase in phases)
        name = f"{kind}{before + 1}" if before else kind
        phases.append(types[kind].model_validate({"name": name, "type": kind}))  # type: ignore[arg-type]
    return phases


def wrong_phases(strategy: str, phases: Sequence[PhaseConfig] | None) -> str | None:
    """What is wrong with the list of phases of a strategy, or None. phases: None when the list is not given."""
    row = _strategies[strategy]
    if phases is None:
        return None if row.default else f"must be given for strategy {strategy}: the phases in order"
    types = [phase.type for phase in phases]
    if not phases or (row.order is not None and not re.fullmatch(row.order, " ".join(types))):
        rule = f"be of the types {row.order_in_words}" if row.order is not None else "have a phase or more"
        return f"must {rule} for strategy {strategy} (got {', '.join(types) or 'none'})"
    names = [phase.name for phase in phases]
    twice = next((name for name in names if names.count(name) > 1), None)
    return _without_teacher(phases) if twice is None else f"must have names of their own (got '{twice}' twice)"


def _without_teacher(phases: Sequence[PhaseConfig]) -> str | None:
    """The first phase that needs a graph network which learnt on the present language models, and finds none."""
    has_teacher = False
    for phase in phases:
        if phase.needs_teacher and not has_teacher:
            return (
                f"must have a phase that trains a graph network (gnn or joint) before phase {phase.name}, and none "
                f"between them that changes the language model alone: {phase.type} learns from that graph network"
            )
        if phase.trains_graph or phase.trains_lm:
            has_teacher = phase.trains_graph
    return None
