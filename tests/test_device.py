"""Peak memory of a process."""

from __future__ import annotations

import subprocess
import sys

import pytest

from graphstorm_like.device import peak_memory

MIB = 1 << 20
SCRIPT = """
import torch
from graphstorm_like.allocator import reset_peak_rss
from graphstorm_like.device import peak_memory

def peak():
    return peak_memory(torch.device("cpu"))["peak_rss_bytes"]

reset_peak_rss()
before = peak()
block = bytearray(200 << 20)
block[::4096] = b"x" * len(block[::4096])
del block
print(peak() - before)
reset_peak_rss()
print(peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_peak_is_that_of_the_process_since_the_reset() -> None:
    """What is freed again counts; what the parent had, and what was freed before the reset, does not."""
    parent = bytearray(600 * MIB)
    parent[::4096] = b"x" * len(parent[::4096])
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=60, check=True)
    after_block, after_reset = (int(line) for line in done.stdout.split())
    assert 190 * MIB < after_block < 230 * MIB
    assert after_reset < 30 * MIB


def test_a_cpu_has_a_peak() -> None:
    import torch

    assert peak_memory(torch.device("cpu"))["peak_rss_bytes"] > 10 * MIB
