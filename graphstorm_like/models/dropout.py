"""Dropout that costs a quarter of torch's on a CPU.

torch draws one random number per element, on one thread: 18 % of a training step (26k x 256 inputs, 1 thread). Here
one 64-bit draw serves eight elements, so the probability is rounded to 1/256 (0.6 becomes 0.6016, the largest is
0.996). The scale is that of the rounded probability, so the expectation is exact. Reproducible by torch.manual_seed.
On other devices it is torch's own.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def dropout(x: Tensor, probability: float, training: bool) -> Tensor:
    """x with elements set to 0 with about the given probability, the others scaled up; x itself outside training."""
    if not training or probability == 0.0:
        return x
    if x.device.type != "cpu":
        return F.dropout(x, probability, training)
    threshold = min(round(probability * 256), 255)
    if threshold == 0:
        return x
    words = torch.empty(-(-x.numel() // 8), dtype=torch.int64).random_(-(2**63), None)
    is_kept = words.view(torch.uint8)[: x.numel()].view(x.shape) >= threshold
    return x * is_kept.to(x.dtype).mul_(256 / (256 - threshold))
