"""RowAdam against torch.optim.SparseAdam, step by step."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from graphstorm_like.training.row_adam import RowAdam


@pytest.mark.parametrize("repeated", [False, True])
def test_is_sparse_adam(repeated: bool) -> None:
    torch.manual_seed(0)
    one, two = nn.Embedding(20, 3, sparse=True), nn.Embedding(20, 3, sparse=True)
    two.load_state_dict(one.state_dict())
    mine, theirs = RowAdam(one.parameters(), lr=0.1), torch.optim.SparseAdam(list(two.parameters()), lr=0.1)
    for step in range(6):
        ids = torch.randperm(20)[:7]
        ids = torch.cat([ids, ids[:2]]) if repeated else ids
        weights = torch.randn(len(ids), 3)
        for table, optimizer in ((one, mine), (two, theirs)):
            optimizer.zero_grad()
            (table(ids) * weights).sum().backward()
            for group in optimizer.param_groups:
                group["lr"] = 0.1 / (step + 1)
            optimizer.step()
        torch.testing.assert_close(one.weight, two.weight, atol=1e-6, rtol=1e-5)


def test_state_goes_round(tmp_path: object) -> None:
    table = nn.Embedding(5, 2, sparse=True)
    optimizer = RowAdam(table.parameters(), lr=0.1)
    table(torch.tensor([1, 3])).sum().backward()
    optimizer.step()
    other = RowAdam(nn.Embedding(5, 2, sparse=True).parameters(), lr=0.1)
    other.load_state_dict(optimizer.state_dict())
    assert other.state_dict()["state"][0]["step"] == 1
    assert torch.equal(other.state_dict()["state"][0]["exp_avg"], optimizer.state_dict()["state"][0]["exp_avg"])
