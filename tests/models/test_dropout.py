"""Fast dropout: rate, expectation, reproducibility, gradient."""

from __future__ import annotations

import pytest
import torch

from graphstorm_like.models.dropout import dropout


@pytest.mark.parametrize("probability", [0.1, 0.5, 0.6, 0.9])
def test_rate_and_expectation(probability: float) -> None:
    torch.manual_seed(0)
    x = torch.ones(2000, 501)  # not a multiple of eight
    out = dropout(x, probability, True)
    dropped = (out == 0).float().mean().item()
    assert dropped == pytest.approx(round(probability * 256) / 256, abs=2e-3)
    assert out.mean().item() == pytest.approx(1.0, abs=1e-2)
    # Every one of the eight bytes of a word is drawn alike.
    by_byte = (out.flatten()[: 8 * 125_000].view(-1, 8) == 0).float().mean(0)
    assert (by_byte - dropped).abs().max() < 0.01


def test_neighbouring_elements_are_independent() -> None:
    torch.manual_seed(0)
    kept = (dropout(torch.ones(1_000_000), 0.5, True) > 0).float() - 0.5
    for lag in (1, 2, 7, 8, 9, 64):
        assert abs((kept[lag:] * kept[:-lag]).mean().item()) < 1e-3


def test_reproducible_and_off() -> None:
    x = torch.randn(10, 10)
    torch.manual_seed(3)
    one = dropout(x, 0.5, True)
    torch.manual_seed(3)
    assert torch.equal(one, dropout(x, 0.5, True))
    assert not torch.equal(one, dropout(x, 0.5, True))
    assert dropout(x, 0.5, False) is x
    assert dropout(x, 0.0, True) is x
    assert 0 < (dropout(torch.ones(100_000), 0.999, True) > 0).float().mean() < 0.01


def test_gradient_follows_the_mask() -> None:
    x = torch.randn(64, 8, requires_grad=True)
    out = dropout(x, 0.5, True)
    out.sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad == 0, out == 0)
