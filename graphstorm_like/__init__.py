"""graphstorm-like: language models and graph neural networks, trained together on text-rich graphs."""

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from graphstorm_like.api import Project as Project

__version__ = "0.2.0"

# torch's OpenMP threads spin while they wait. On a machine that is busy with anything else they spin away the time of
# the thread they wait for: a training step took 9,000 ms instead of 110 (2 threads, 2 other processes). 1,000 rounds
# cost nothing on an idle machine (111 ms) and 224 ms on the busy one. Works when torch is imported after this package.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")


def __getattr__(name: str) -> Any:
    """`graphstorm_like.Project`, which needs torch: importing this package does not."""
    if name == "Project":
        from graphstorm_like.api import Project

        return Project
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
