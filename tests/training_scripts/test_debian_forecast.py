"""Which links of a later release are forecast from an older one."""

from __future__ import annotations

import sys
from pathlib import Path

import pyarrow as pa

sys.path.insert(0, str(Path(__file__).parents[2] / "training_scripts" / "debian_packages"))

from debian_relations import split_share
from recommends_over_time import forecast_edges


def test_what_is_new_between_known_packages_is_forecast() -> None:
    """Old edges train; new ones are held out, a source package's together; those of new packages are left out."""
    packages = pa.table({"name": ["a", "b", "c", "d"], "source": ["s", "s", "t", "u"]})
    older = pa.table({"source": ["a", "b"], "target": ["b", "c"]})
    newer = pa.table(
        {
            "source": ["a", "c", "b", "a", "new", "d"],
            "target": ["b", "a", "a", "c", "a", "new"],
            "alternative": [0, 0, 0, 0, 0, 0],
        }
    )
    edges = forecast_edges(older, newer, packages)
    rows = list(zip(*(edges[name].to_pylist() for name in ("source", "target", "split")), strict=True))
    of_source = {source: "valid" if split_share("tv|", source) < 0.3 else "test" for source in "st"}
    assert rows[:2] == [("a", "b", "train"), ("b", "c", "train")]
    assert rows[2:] == [("a", "c", of_source["s"]), ("b", "a", of_source["s"]), ("c", "a", of_source["t"])]
