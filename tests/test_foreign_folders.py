"""Folders of others are data: no verb imports what they name, or writes where their links lead."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from typer.testing import CliRunner, Result

from gconstruct import build_graph
from graphstorm_like.cli.main import app
from graphstorm_like.config import build_pipeline
from graphstorm_like.config.plugins import import_plugins
from graphstorm_like.deploy.folder import FORMAT, KIND
from graphstorm_like.deploy.model import Model
from graphstorm_like.errors import ConfigError, GslError
from graphstorm_like.files import write_json
from graphstorm_like.forking import child_environment
from graphstorm_like.reports.run_folder import RunFolder
from graphstorm_like.testing.graphs import shop_pipeline, write_shop

MARKER, PLUGIN = "executed", "plugin_of_others"
_numbers = itertools.count()
EVIL = f"import pathlib\npathlib.Path(__file__).with_name('{MARKER}').touch()\n"


@dataclass(frozen=True)
class Foreign:
    """What a stranger left: a run's folder with its graph, and a model; and the user's own YAML, without plug-ins."""

    folder: Path
    yaml: Path

    @property
    def run(self) -> Path:
        return self.folder / "run"

    @property
    def model(self) -> Path:
        return self.folder / "model"

    @property
    def was_executed(self) -> bool:
        return any(self.folder.rglob(MARKER))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Foreign:
    folder = tmp_path_factory.mktemp("foreign")
    foreign = Foreign(folder, folder / "pipeline.yaml")
    data = shop_pipeline(write_shop(folder / "tables", items=40, users=10), foreign.run)
    data["train"]["epochs"] = 1
    data["launch"] = {"threads": 1}
    foreign.yaml.write_text(yaml.safe_dump(data), encoding="utf-8")
    pipeline = build_pipeline(data).with_absolute_paths(folder)
    build_graph(pipeline.graph)
    evil = pipeline.model_dump(mode="json") | {"plugins": [f"{folder}/{PLUGIN}.py"]}
    for stage in ("train", "launch"):
        (foreign.run / stage).mkdir()
        write_json(foreign.run / stage / "pipeline.json", evil)
    for stage in ("train", "evaluate"):
        (foreign.run / stage).mkdir(exist_ok=True)
        write_json(foreign.run / stage / "done.json", {"fingerprint": "0" * 32})
    write_json(foreign.run / "evaluate" / "metrics.json", {"valid": {"accuracy": 0.5}, "test": {"accuracy": 0.5}})
    (foreign.run / "train" / "best").mkdir()
    (foreign.run / "train" / "best" / "model.safetensors").write_bytes(b"")
    (foreign.model / "plugins").mkdir(parents=True)
    (foreign.model / "graph").mkdir()
    shutil.copy(foreign.run / "graph" / "graph.json", foreign.model / "graph")
    write_json(foreign.model / "pipeline.json", evil | {"plugins": [f"plugins/{PLUGIN}.py"]})
    write_json(foreign.model / "model.json", {"kind": KIND, "format": FORMAT, "files": {}})
    for place in (folder, foreign.run, foreign.model, foreign.model / "plugins"):
        (place / f"{PLUGIN}.py").write_text(EVIL, encoding="utf-8")
    shutil.copytree(foreign.run, folder / "other")
    return foreign


@pytest.fixture
def foreign(made: Foreign, tmp_path: Path) -> Foreign:
    """A copy of the folder, whose plug-in has a name of its own: none that an earlier test may have imported."""
    folder, name = tmp_path / "foreign", f"{PLUGIN}_{next(_numbers)}"
    shutil.copytree(made.folder, folder)
    for file in folder.rglob("pipeline.*"):
        text = file.read_text(encoding="utf-8").replace(str(made.folder), str(folder)).replace(PLUGIN, name)
        file.write_text(text, encoding="utf-8")
    for file in folder.rglob(f"{PLUGIN}.py"):
        file.rename(file.with_name(f"{name}.py"))
    return Foreign(folder, folder / "pipeline.yaml")


RUN, GRAPH, MODEL, YAML, NEW = "{run}", "{run}/graph", "{model}", "{yaml}", "{new}"
VERBS: dict[str, list[str] | None] = {
    "apply": [MODEL, "--graph", GRAPH, "--out", NEW],
    "baseline": [YAML],
    "bench faults": [YAML, "launch.trainers=2", "--fault", "none-such"],
    "bench gpu": [YAML, "train.device=none"],
    "cache list": [RUN],
    "cache prune": [f"{RUN}/cache", "--unused-by", RUN],
    "compare": [RUN, "{other}"],
    "construct": [YAML, "graph.path={new}", "--like", GRAPH],
    "convert": [f"{RUN}/train/pipeline.json", "-o", NEW],
    "doctor": [],
    "evaluate": [YAML],
    "export": [GRAPH, NEW],
    "host": [YAML, "launch.hosts=2"],
    "import": [f"{RUN}/train/pipeline.json", NEW],
    "index": [RUN, "-o", NEW],
    "infer": [YAML],
    "init": [f"{RUN}/graph", "-o", NEW],
    "launch": [YAML, "--print"],
    "pack": [RUN, "-o", NEW],
    "partition": [GRAPH, NEW, "--count", "2"],
    "report": [RUN],
    "run": [YAML, "train.epochs=1"],
    "schema": None,  # reads nothing
    "search": [RUN],
    "secret": None,  # reads nothing
    "serve": [MODEL, "--graph", GRAPH, "--port", "0", "--workers", "1"],
    "show batch": [YAML],
    "show config": [YAML],
    "show graph": [GRAPH, "--report"],
    "show partitions": [GRAPH],
    "show plan": [YAML],
    "stitch": [YAML],
    "sweep": [YAML, "train.lr=0.1", "-o", RUN, "train.device=none"],
    "train": [YAML, "train.start_from={{run: {run}}}"],
    "validate": [YAML],
    "worker": None,  # reads the one file that its launcher wrote and names
}
"""Of each verb, arguments that make it read the folders of others; None: it reads none, for the reason beside it."""


READERS = [
    pytest.param(verb, marks=[pytest.mark.slow] if verb in ("serve", "run") else [])
    for verb, arguments in VERBS.items()
    if arguments is not None
]


def leaves(command: Any, prefix: str = "") -> list[str]:
    """Names of all commands, sub-commands with those above them."""
    if not hasattr(command, "commands"):
        return [prefix]
    found = []
    for name, below in command.commands.items():
        found += leaves(below, f"{prefix} {name}".strip())
    return found


def invoke(foreign: Foreign, verb: str, *more: str) -> Result:
    places = {
        "other": foreign.folder / "other",
        "run": foreign.run,
        "model": foreign.model,
        "yaml": foreign.yaml,
        "new": foreign.folder / "new",
    }
    arguments = [word.format(**places) for word in VERBS[verb] or ()]
    return CliRunner().invoke(app, [*verb.split(), *arguments, *more])


def test_every_verb_is_in_the_table() -> None:
    assert sorted(leaves(typer.main.get_command(app))) == sorted(VERBS)


@pytest.mark.parametrize("verb", READERS)
def test_no_verb_runs_what_a_folder_names(foreign: Foreign, verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(foreign.folder)
    if verb in ("train", "evaluate", "infer"):
        shutil.rmtree(foreign.folder / "tables")  # else the copied tables are newer than the graph, and it is refused
    result = invoke(foreign, verb)
    assert result.exception is None or isinstance(result.exception, GslError | SystemExit), result.exception
    assert not foreign.was_executed


@pytest.mark.parametrize("verb", ["pack", "apply"])
def test_what_needs_a_plug_in_is_refused_by_name(foreign: Foreign, verb: str) -> None:
    error = invoke(foreign, verb).exception
    assert isinstance(error, ConfigError)
    folder = foreign.run if verb == "pack" else foreign.model
    assert str(error).startswith(f"{folder}: the {'run' if verb == 'pack' else 'model'} needs its plug-ins")
    assert PLUGIN in str(error)
    assert "allow them: --plugins" in str(error)


def test_a_report_does_without(foreign: Foreign) -> None:
    """Neither the task nor its metrics are of the plug-in."""
    result = invoke(foreign, "report")
    assert result.exit_code == 0, result.exception
    notes = json.loads((foreign.run / "report.json").read_text(encoding="utf-8"))["notes"]
    assert not any("Scores come alone" in note for note in notes)
    assert not foreign.was_executed


def test_a_report_of_a_task_of_the_plug_in_says_how_to_allow_it(foreign: Foreign) -> None:
    settings = json.loads((foreign.run / "train" / "pipeline.json").read_text(encoding="utf-8"))
    settings["task"] |= {"type": "of_others", "metrics": [{"type": "mae"}], "select_by": "mae"}
    write_json(foreign.run / "train" / "pipeline.json", settings)
    result = invoke(foreign, "report")
    assert result.exit_code == 0, result.exception
    notes = json.loads((foreign.run / "report.json").read_text(encoding="utf-8"))["notes"]
    assert any(PLUGIN in note and "--plugins" in note for note in notes)
    assert not RunFolder(foreign.run).higher_is_better, "the direction of a metric of ours needs no plug-in"
    assert not foreign.was_executed


def test_a_model_in_python_is_refused(foreign: Foreign) -> None:
    with pytest.raises(ConfigError, match=r"Model.load\(path, plugins=True\)"):
        Model.load(foreign.model)
    assert not foreign.was_executed


def test_a_plug_in_that_the_user_has_named_is_allowed_while_it_is_the_same(foreign: Foreign) -> None:
    """Same name, same file, same content. It stays imported: its name is this test's own."""
    own = foreign.folder / "named_by_the_user.py"
    own.write_text("", encoding="utf-8")
    import_plugins([str(own)])
    data = shop_pipeline(foreign.folder / "tables", foreign.run)
    assert build_pipeline({**data, "plugins": [str(own)]}).plugins == [str(own)]
    elsewhere = foreign.run / own.name
    elsewhere.write_text("", encoding="utf-8")
    with pytest.raises(ConfigError, match="needs its plug-ins"):
        build_pipeline({**data, "plugins": [str(elsewhere)]})
    own.write_text("changed = True\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="needs its plug-ins"):
        build_pipeline({**data, "plugins": [str(own)]})


@pytest.mark.parametrize("name", [".report.html.new", ".graph.checked"])
def test_links_in_a_folder_do_not_lead_writers_out_of_it(foreign: Foreign, name: str, tmp_path: Path) -> None:
    """The file of checks of run/graph lies in run: its link was followed, and the file behind it emptied."""
    treasure = tmp_path / "treasure"
    treasure.write_text("{}", encoding="utf-8")
    (foreign.run / name).unlink(missing_ok=True)
    (foreign.run / name).symlink_to(treasure)
    for file in (foreign.run / "graph").rglob("*"):
        os.utime(file)  # so that there is something to check
    invoke(foreign, "report")
    invoke(foreign, "show graph")
    assert treasure.read_text(encoding="utf-8") == "{}"


def test_a_pipe_in_a_folder_does_not_hang_its_reader(foreign: Foreign) -> None:
    (foreign.run / "evaluate" / "metrics.json").unlink()
    os.mkfifo(foreign.run / "evaluate" / "metrics.json")
    assert RunFolder(foreign.run).scores() == {}


def test_a_child_does_not_look_for_modules_in_the_working_directory(tmp_path: Path) -> None:
    """`cd model; gsl serve .` started workers that took the folder's own numpy.py."""
    (tmp_path / "numpy.py").write_text(EVIL, encoding="utf-8")
    command = [sys.executable, "-m", "graphstorm_like.serve.worker", "none"]
    done = subprocess.run(command, cwd=tmp_path, env=child_environment(), capture_output=True, check=False)
    assert done.returncode
    assert not (tmp_path / MARKER).exists()
