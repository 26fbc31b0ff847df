"""The gradients of every operator that has some are those of finite differences, in double precision."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from .gradients import FAMILIES, WITHOUT, case_of
from .operators import operators

OPERATORS = {name: config for name, config in operators().items() if name.partition("/")[0] in FAMILIES}
OPTIONAL = {"gnns/pyg": "torch_geometric"}


def test_every_family_has_a_case_or_a_reason() -> None:
    """A new one must say which."""
    families = {name.partition("/")[0] for name in operators()}
    assert families == set(FAMILIES) | set(WITHOUT)
    assert not set(FAMILIES) & set(WITHOUT)


@pytest.fixture
def in_double(monkeypatch: pytest.MonkeyPatch) -> None:
    """Operators compute in float32 at least; differences of float32 are too coarse."""
    monkeypatch.setattr(Tensor, "float", lambda rows: rows.to(torch.promote_types(rows.dtype, torch.float32)))


@pytest.mark.parametrize("name", OPERATORS)
def test_gradients_are_those_of_finite_differences(name: str, shop: tuple[Path, Path], in_double: None) -> None:
    if name in OPTIONAL:
        pytest.importorskip(OPTIONAL[name])
    case = case_of(name, OPERATORS[name], shop[1])
    value = case.value(*case.leaves)
    if not case.leaves:
        pytest.fail(f"{name}: nothing to differentiate in: its builder in tests/gradients.py must find leaves")
    values = value if isinstance(value, tuple) else (value,)
    assert all(part.dtype == torch.float64 for part in values), "it must be exact"
    gradients = torch.autograd.grad(sum(part.square().sum() for part in values), case.leaves, allow_unused=True)
    assert any(gradient is not None and bool(gradient.abs().sum() > 0) for gradient in gradients)
    if case.of is None:
        assert torch.autograd.gradcheck(case.value, case.leaves, fast_mode=True)
        return
    assert torch.autograd.gradcheck(case.of, case.leaves, fast_mode=True)
    for got, want in zip(case.value(*case.leaves), case.of(*case.leaves), strict=True):
        mine, theirs = (torch.autograd.grad(part, case.leaves) for part in (got, want))
        torch.testing.assert_close(mine, theirs)
