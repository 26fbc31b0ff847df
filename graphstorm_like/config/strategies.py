"""`train.strategy`: which phases follow each other."""

from __future__ import annotations

import re
from typing import Literal

from graphstorm_like.config.phases import PhaseConfig
from graphstorm_like.config.phases.gnn import GnnPhase
from graphstorm_like.config.phases.joint import JointPhase
from graphstorm_like.config.phases.lm import LmPhase
from graphstorm_like.config.phases.pseudo import PseudoPhase
from graphstorm_like.config.phases.student import StudentPhase

Strategy = Literal["frozen", "lm_only", "staged", "joint", "glem", "distill"]


_DEFAULTS: dict[str, tuple[str, ...]] = {
    "frozen": ("gnn",),
    "lm_only": ("lm",),
    "staged": ("lm", "gnn"),
    "joint": ("joint",),
    "glem": ("lm", "gnn", "pseudo", "gnn"),
    "distill": ("gnn", "student"),
}
_FORMS: dict[str, tuple[str, str]] = {
    "frozen": (r"gnn", "gnn"),
    "lm_only": (r"(lm )*lm", "lm, once or more"),
    "staged": (r"(lm )+gnn( joint)?", "lm (once or more), gnn, and then joint or not"),
    "joint": (r"(lm )*(gnn )?joint", "joint, with lm and gnn before it or not"),
    "glem": (r"(lm )*gnn( pseudo gnn)+", "lm or not, gnn, then pseudo and gnn, once or more"),
    "distill": (r"(lm )*gnn( joint)? student", "lm or not, gnn, joint or not, student"),
}
_TYPES: dict[str, type[GnnPhase | LmPhase | PseudoPhase | JointPhase | StudentPhase]] = {
    "gnn": GnnPhase,
    "lm": LmPhase,
    "pseudo": PseudoPhase,
    "joint": JointPhase,
    "student": StudentPhase,
}
_TRAINS_LM = ("lm", "pseudo", "student")


def default_phases(strategy: Strategy) -> list[PhaseConfig]:
    """The phases of a strategy, named by their types; a second one of a type is gnn2."""
    found: list[PhaseConfig] = []
    for kind in _DEFAULTS[strategy]:
        before = sum(phase.type == kind for phase in found)
        found.append(_TYPES[kind](name=f"{kind}{before + 1}" if before else kind, type=kind))  # type: ignore[arg-type]
    return found


def wrong_phases(strategy: Strategy, phases: list[PhaseConfig]) -> str | None:
    """What is wrong with a list of phases, or None."""
    form, words = _FORMS[strategy]
    types = [phase.type for phase in phases]
    if not re.fullmatch(form, " ".join(types)):
        return f"must be of the types {words} for strategy {strategy} (got {', '.join(types) or 'none'})"
    names = [phase.name for phase in phases]
    twice = next((name for name in names if names.count(name) > 1), None)
    return None if twice is None else f"must have names of their own (got '{twice}' twice)"


def trains_lm_alone(phase: PhaseConfig) -> bool:
    """Whether a phase trains a language model without a graph network."""
    return phase.type in _TRAINS_LM
