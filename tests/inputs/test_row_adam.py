"""row_adam against torch.optim.SparseAdam, step by step."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from graphstorm_like.inputs.row_adam import row_adam


@pytest.mark.parametrize("repeated", [False, True])
def test_is_sparse_adam(repeated: bool) -> None:
    torch.manual_seed(0)
    theirs = nn.Embedding(20, 3, sparse=True)
    table = theirs.weight.detach().clone()
    mean, square = torch.zeros(20, 3), torch.zeros(20, 3)
    optimizer = torch.optim.SparseAdam(list(theirs.parameters()), lr=0.1)
    for step in range(6):
        ids = torch.randperm(20)[:7]
        ids = torch.cat([ids, ids[:2]]) if repeated else ids
        weights = torch.randn(len(ids), 3)
        optimizer.zero_grad()
        (theirs(ids) * weights).sum().backward()
        for group in optimizer.param_groups:
            group["lr"] = 0.1 / (step + 1)
        optimizer.step()
        row_adam(table, mean, square, step + 1, ids, weights, 0.1 / (step + 1))
        torch.testing.assert_close(table, theirs.weight.detach(), atol=1e-6, rtol=1e-5)
