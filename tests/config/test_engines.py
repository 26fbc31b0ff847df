"""`graph.engine`: names are looked up in a table to which plug-ins add, without importing an engine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from .conftest import good_text

PLUGIN = """
from graphstorm_like.config.engines import add_engine

add_engine("other_tables", "no_such_module_yet:OtherEngine")
"""
PROGRAM = """
import sys
from graphstorm_like.config import Pipeline, load_pipeline

pipeline = load_pipeline(sys.argv[1])
print(pipeline.graph.engine, load_pipeline(sys.argv[1]) == pipeline)
print(Pipeline.model_json_schema()["$defs"]["GraphConfig"]["properties"]["engine"]["enum"])
print([name for name in ("pyarrow", "numpy", "torch") if name in sys.modules])
"""


def test_a_plug_in_adds_an_engine(tmp_path: Path) -> None:
    """In a process of its own: what a plug-in registers stays in its process."""
    (tmp_path / "my_engine_of_tables.py").write_text(PLUGIN, encoding="utf-8")
    text = good_text("node").replace("  base: tables", "  engine: other_tables")
    text = f"plugins: [./my_engine_of_tables.py]\n{text}"
    (tmp_path / "p.yaml").write_text(text, encoding="utf-8")
    program = [sys.executable, "-c", PROGRAM, str(tmp_path / "p.yaml")]
    done = subprocess.run(program, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["other_tables True", "['arrow', 'spark', 'other_tables']", "[]"]
