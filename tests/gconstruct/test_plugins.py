"""Feature transforms of plug-ins: the graph follows from their code too. Each run is a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from .tables import write

TRANSFORM = """
import numpy as np
from typing import Literal
from gconstruct.transforms.base import TRANSFORMS, Transform
from gconstruct.values import as_numbers
from graphstorm_like.config.features import FeatureConfig

class TimesFeature(FeatureConfig):
    '''A number times another.'''
    encode: Literal["times"]
    column: str

@TRANSFORMS.register(TimesFeature)
class Times(Transform):
    use = "scalar"
    def read(self, source): return as_numbers(source).to_numpy(zero_copy_only=False)
    def fit(self, values): return len(values)
    def merge(self, one, other): return one + other
    def state(self, statistics, source): return {{}}
    def apply(self, values, state, source): return ({factor} * values[:, None]).astype(np.float32)
"""
PROGRAM = """
import sys
from graphstorm_like.config.plugins import import_plugins
import_plugins([sys.argv[1] + "/times.py"] if "times" in sys.argv[2] else [])
import_plugins([sys.argv[1] + "/other.py"])
from pathlib import Path
from gconstruct import build_graph, is_current
from tests.gconstruct.tables import graph, item
config = graph(Path(sys.argv[1]), {"item": item(features={"price": {"encode": sys.argv[2], "column": "price"}})})
print(is_current(config))
build_graph(config)
"""


def current(folder: Path, encode: str) -> bool:
    """Whether the graph was up to date; it is then."""
    program = [sys.executable, "-c", PROGRAM, str(folder), encode]
    root = Path(__file__).parents[2]
    done = subprocess.run(program, capture_output=True, text=True, timeout=60, check=False, cwd=root)
    assert done.returncode == 0, done.stderr
    return done.stdout == "True\n"


def test_the_code_of_a_transform_counts(tmp_path: Path) -> None:
    """A graph with features of the old code was up to date."""
    write(tmp_path / "items.parquet", id=["a", "b"], price=[1.0, 2.0])
    (tmp_path / "other.py").write_text("")
    plugin = tmp_path / "times.py"
    plugin.write_text(TRANSFORM.format(factor=2))
    assert not current(tmp_path, "times")
    assert current(tmp_path, "times")
    plugin.write_text(TRANSFORM.format(factor=3))
    assert not current(tmp_path, "times")


def test_other_plug_ins_do_not(tmp_path: Path) -> None:
    write(tmp_path / "items.parquet", id=["a", "b"], price=[1.0, 2.0])
    (tmp_path / "other.py").write_text("")
    assert not current(tmp_path, "numeric")
    (tmp_path / "other.py").write_text("x = 1\n")
    assert current(tmp_path, "numeric")
