"""plugins: what is imported, from where, and what is said when it cannot be. Each in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from .conftest import good_text

GNN = '''
from typing import Literal
from graphstorm_like.config.gnns import GnnConfig
class MineConfig(GnnConfig):
    """Mine."""
    type: Literal["{tag}"]
    width: int = {width}
'''
PROGRAM = """
import json, sys
from graphstorm_like.config import Pipeline, load_pipeline
from graphstorm_like.config.plugins import plugin_hashes
from graphstorm_like.errors import ConfigError
try:
    pipeline = load_pipeline(sys.argv[1], sys.argv[2:])
except ConfigError as error:
    print(json.dumps({"error": str(error)}))
else:
    again = Pipeline.model_validate_json(pipeline.model_dump_json())
    print(json.dumps({
        "gnn": pipeline.model.gnn.model_dump(), "hashes": dict(plugin_hashes()), "again": again == pipeline,
        "torch": "torch" in sys.modules,
    }))
"""


def loaded(folder: Path, *overrides: str) -> dict[str, object]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder / "pipeline.yaml"), *overrides],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    outcome: dict[str, object] = json.loads(done.stdout)
    return outcome


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A good pipeline without plug-ins, whose tables are elsewhere."""
    (tmp_path / "pipeline.yaml").write_text(good_text("node"))
    return tmp_path


MINE = ["plugins=[./mine.py]", "model.gnn={type: mine, layers: 2}"]


def test_a_file_beside_the_yaml(folder: Path) -> None:
    (folder / "mine.py").write_text(GNN.format(tag="mine", width=3))
    first = loaded(folder, *MINE)
    assert first["gnn"]["width"] == 3  # type: ignore[index]
    assert first["again"], "a saved pipeline brings its plug-ins along"
    assert not first["torch"]
    (folder / "mine.py").write_text(GNN.format(tag="mine", width=4))
    second = loaded(folder, *MINE)
    assert first["hashes"].keys() == second["hashes"].keys() == {"mine"}  # type: ignore[attr-defined]
    assert first["hashes"] != second["hashes"], "the content counts"


def test_a_package(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "my_package").mkdir()
    (folder / "my_package" / "__init__.py").write_text("")
    (folder / "my_package" / "nets.py").write_text(GNN.format(tag="mine", width=5))
    monkeypatch.setenv("PYTHONPATH", str(folder), prepend=":")
    outcome = loaded(folder, "plugins=[my_package.nets]", "model.gnn={type: mine, layers: 2}")
    assert outcome["gnn"]["width"] == 5  # type: ignore[index]


@pytest.mark.parametrize(
    ("plugin", "source", "words"),
    [
        ("./minne.py", None, "minne.py' must be a file that exists. Did you mean 'mine.py'?"),
        ("no_such.module", None, "'no_such.module' must be a module that imports (got ModuleNotFoundError"),
        ("./mine.py", "1 / 0", "mine.py' must be a module that imports (got ZeroDivisionError: division by zero)"),
        ("./mine.py", "def broken(:", "must be a module that imports (got SyntaxError"),
        ("./json.py", "", "must have a name that no other module has (got"),
        ("./mine.py", GNN.format(tag="rgcn", width=1), "type: rgcn: must be one class (got"),
        (3, None, "plugins[0]: must be text (got 3)"),
    ],
)
def test_one_that_does_not_import_is_one_clear_error(folder: Path, plugin: str, source: str | None, words: str) -> None:
    (folder / "mine.py").write_text("")
    if source is not None:
        (folder / plugin).write_text(source)
    error = str(loaded(folder, f"plugins={yaml.safe_dump([plugin], default_flow_style=True).strip()}")["error"])
    assert words in error
    assert "problems in the configuration" not in error
    assert "Traceback" not in error


TWO = """
import sys
from graphstorm_like.config import load_pipeline
from graphstorm_like.config.plugins import plugin_hashes
with_plugin, without = load_pipeline(sys.argv[1], sys.argv[2:]), load_pipeline(sys.argv[1])
print(*plugin_hashes(with_plugin.plugins), "and", *plugin_hashes(without.plugins))
"""


def test_plug_ins_of_another_pipeline_do_not_count(folder: Path) -> None:
    """In one process a run had another fingerprint, and trained anew, when a pipeline with plug-ins was read before."""
    (folder / "mine.py").write_text(GNN.format(tag="mine", width=3))
    program = [sys.executable, "-c", TWO, str(folder / "pipeline.yaml"), *MINE]
    done = subprocess.run(program, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "mine and\n"
