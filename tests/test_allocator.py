"""Freed memory that stays with the process is not paged in again."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import resource
import numpy as np
from graphstorm_like.allocator import keep_freed_memory, keeping_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        np.ones(3_000_000)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

with keeping_freed_memory():
    faults()
    inside = faults()
outside = faults()
keep_freed_memory()
faults()
print(inside, outside, faults())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's allocator")
def test_blocks_of_24_mb_are_paged_in_once() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=60)
    inside, outside, for_good = map(int, done.stdout.split())
    assert inside < 100
    assert for_good < 100
    assert outside > inside, "and goes back at the end"
