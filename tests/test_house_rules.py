"""The rules of the house that a machine can check: who imports whom, sizes, docstrings, shipped YAML."""

from __future__ import annotations

import ast
import functools
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from graphstorm_like.config import load_pipeline
from graphstorm_like.config.yaml_source import parse_yaml

ROOT = Path(__file__).parents[1]
PACKAGES = ("graphstorm_like", "gconstruct")

LAYERS = (
    "errors", "registry", "pending", "files", "cache_use", "mirror", "arrays", "hashing", "allocator",
    "parent_death", "forking", "ranges",
    "modality", "progress", "device", "config", "search", "graph", "ranks", "sampling", "text", "models", "tasks",
    "inputs", "training", "inference", "launch", "bench", "deploy", "serve", "baselines", "reports", "container", "api",
    "cli",
)  # fmt: skip
"""Each may import itself and what stands before it."""
GCONSTRUCT_MAY = (
    "graphstorm_like.errors", "graphstorm_like.files", "graphstorm_like.registry", "graphstorm_like.config",
    "graphstorm_like.graph.schema", "graphstorm_like.graph.verify",
    "graphstorm_like.graph.bfloat16", "graphstorm_like.graph.sparse",
    "graphstorm_like.hashing", "graphstorm_like.allocator", "graphstorm_like.mirror",
    "graphstorm_like.graph.dgl.metis",  # arrays in, an array out: METIS knows nothing of graphs as we read them
    "graphstorm_like.graph.dgl.reading", "graphstorm_like.graph.dgl.tensors",  # a foreign folder in, arrays out
)  # fmt: skip

OPTIONAL = (
    "transformers", "dgl", "pyspark", "ray", "boto3", "s3fs", "tensorboard", "sentence_transformers", "sklearn",
    "pandas", "polars", "duckdb", "sqlalchemy", "numba", "psutil", "peft", "PIL", "faiss", "lance", "mlflow", "wandb",
    "torch_geometric",
)  # fmt: skip

MAX_MODULE, MAX_FUNCTION, MAX_DOCSTRING = 900, 100, 16
LONG_DOCSTRING = {"graphstorm_like/graph/schema.py": 16}
"""It draws the graph folder."""


# ------------------------------------------------------------------------------------------------- modules, imports


@functools.cache
def parsed(source: str) -> ast.Module:
    """Of a module; five rules look at it."""
    return ast.parse(source)


def module_files() -> list[Path]:
    return sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(tree: ast.AST, package: str) -> Iterator[tuple[str, int]]:
    """(absolute module name, line) of every import, inside functions too. `package` resolves relative imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            source = ".".join([*base, *([node.module] if node.module else [])])
            # `from graphstorm_like.graph import schema` may name a module: the longer name is the stricter one.
            yield from ((f"{source}.{alias.name}", node.lineno) for alias in node.names)
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in ("import_module", "__import__") and isinstance(node.args[0].value, str):
                yield node.args[0].value, node.lineno


def at_import_time(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements that run when the module is imported: not those in functions, nor under `if TYPE_CHECKING`."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from at_import_time(node.orelse)
            continue
        inner = [getattr(node, name, []) for name in ("body", "orelse", "finalbody")]
        inner += [handler.body for handler in getattr(node, "handlers", [])]
        if any(inner):
            yield from (stmt for block in inner for stmt in at_import_time(block))
        else:
            yield node


def wrong_direction(name: str, tree: ast.AST, is_package: bool) -> Iterator[str]:
    """Imports of one module that go against the order of the layers."""
    package = name if is_package else name.rpartition(".")[0]
    for target, line in imported(tree, package):
        top = target.split(".")[0]
        if top in PACKAGES and not may_import(name, target):
            yield f"{name}:{line} must not import {target}"


def may_import(name: str, target: str) -> bool:
    top, layer, *_ = [*target.split("."), ""]
    own = [*name.split("."), ""][1]
    if name.startswith("gconstruct"):
        return top == "gconstruct" or any(f"{target}.".startswith(f"{allowed}.") for allowed in GCONSTRUCT_MAY)
    if top == "gconstruct":  # construction stands beside the library: only what starts whole stages may call it
        return own not in LAYERS[: LAYERS.index("training")]
    if layer == "testing":
        return own == "testing"
    if layer not in LAYERS:
        return True  # graphstorm_like itself, e.g. __version__
    if not own:
        return layer == "api"  # the package hands out its Python face, when it is asked for
    return LAYERS.index(layer) <= LAYERS.index("tasks" if own == "testing" else own)


MODULES = [(path, module_name(path), path.read_text(encoding="utf-8")) for path in module_files()]
each_module = pytest.mark.parametrize(("path", "name", "source"), MODULES, ids=[name for _, name, _ in MODULES])


def test_every_folder_of_the_library_has_its_layer() -> None:
    """A new folder must be given its place in the order, or the rule would not see it."""
    folders = {p.name for p in (ROOT / "graphstorm_like").iterdir() if p.is_dir() and any(p.glob("*.py"))}
    files = {p.stem for p in (ROOT / "graphstorm_like").glob("*.py")} - {"__init__", "__main__"}
    assert folders | files <= {*LAYERS, "testing"}


@each_module
def test_imports_point_one_way(path: Path, name: str, source: str) -> None:
    assert list(wrong_direction(name, parsed(source), path.name == "__init__.py")) == []


@pytest.mark.parametrize(
    ("name", "line", "right"),
    [
        ("graphstorm_like.config.load", "from graphstorm_like.errors import ConfigError", True),
        ("graphstorm_like.config.load", "from graphstorm_like.graph import schema", False),
        ("graphstorm_like.config.load", "def f():\n    import graphstorm_like.training.trainer", False),
        ("graphstorm_like.config.load", "import importlib\nimportlib.import_module('graphstorm_like.cli')", False),
        ("graphstorm_like.models.lm_gnn", "from graphstorm_like.text.tokens import TokenBatch", True),
        ("graphstorm_like.text.tokens", "from graphstorm_like.models import lm_gnn", False),
        ("graphstorm_like.text.tokens", "from ..models import lm_gnn", False),
        ("graphstorm_like.text.tokens", "from .files import read", True),
        ("graphstorm_like.tasks.base", "from graphstorm_like.testing import graphs", False),
        ("graphstorm_like.testing.graphs", "from graphstorm_like.tasks import base", True),
        ("graphstorm_like.testing.graphs", "from graphstorm_like.training import trainer", False),
        ("graphstorm_like.graph.local", "import gconstruct", False),
        ("graphstorm_like.cli.construct", "from gconstruct import construct", True),
        ("graphstorm_like.cli.main", "from graphstorm_like import __version__", True),
        ("graphstorm_like", "def f():\n    from graphstorm_like.api import Project", True),
        ("graphstorm_like", "from graphstorm_like.launch import stages", False),
        ("graphstorm_like.reports.write", "from graphstorm_like.api import Project", False),
        ("gconstruct.inputs", "from graphstorm_like.graph.schema import MANIFEST", True),
        ("gconstruct.inputs", "from graphstorm_like.graph import schema", True),
        ("gconstruct.inputs", "from graphstorm_like.graph.local import LocalGraphStore", False),
        ("gconstruct.inputs", "from graphstorm_like import training", False),
        ("gconstruct.partitioners.metis", "from graphstorm_like.graph.dgl.metis import metis_assignment", True),
        ("gconstruct.partitioners.metis", "from graphstorm_like.graph.dgl import cluster", False),
        ("gconstruct.dgl.folder_import", "from graphstorm_like.graph.dgl.reading import DglFolder", True),
        ("gconstruct.dgl.folder_import", "from graphstorm_like.graph.dgl.export import export_dgl", False),
    ],
)
def test_the_rule_itself(name: str, line: str, right: bool) -> None:
    assert (list(wrong_direction(name, ast.parse(line), False)) == []) is right


# ------------------------------------------------------------------------------------------------ optional packages


def at_import(name: str, tree: ast.Module, is_package: bool, known: frozenset[str]) -> set[str]:
    """Modules of ours that a module imports when it is imported."""
    package = name if is_package else name.rpartition(".")[0]
    targets = set()
    for statement in at_import_time(tree.body):
        for target, _ in imported(statement, package):
            longest = target if target in known else target.rpartition(".")[0]
            targets.add(longest)
    return (targets & known) - {name}


def circles(graph: dict[str, set[str]]) -> set[tuple[str, str]]:
    """Pairs of modules that import each other; a package and its own modules may, for it hands out what they define."""
    pairs = {(name, other) for name, others in graph.items() for other in others if name in graph.get(other, ())}
    return {
        (one, other) for one, other in pairs if one < other and not other.startswith(f"{one}.")
    }  # fmt: skip


def test_no_two_modules_import_each_other() -> None:
    known = frozenset(name for _, name, _ in MODULES)
    graph = {name: at_import(name, parsed(src), path.name == "__init__.py", known) for path, name, src in MODULES}
    assert "graphstorm_like.errors" in graph["graphstorm_like.config.load"], "imports are seen"
    assert circles(graph) == set()


def test_circles_are_found() -> None:
    graph = {"a.b": {"a.c"}, "a.c": {"a.b", "a.d"}, "a.d": set(), "p": {"p.x"}, "p.x": {"p"}}
    assert circles(graph) == {("a.b", "a.c")}


OWN_CONFIGURATION = re.compile(r"isinstance\([^)]*(Config|Phase|Tuning|Feature)\b")


def test_configurations_are_not_told_apart_by_isinstance() -> None:
    """What depends on a choice stands with it: in its class, or in the operator that a registry finds."""
    places = [
        f"{name}:{number}"
        for _, name, source in MODULES
        for number, line in enumerate(source.splitlines(), 1)
        if OWN_CONFIGURATION.search(line) and name != "graphstorm_like.config.choice"
    ]
    assert len(places) <= 10, places


def families_of_tags() -> list[set[str]]:
    """The tags of every open choice; short ones are words of other things too."""
    from graphstorm_like.config.choice import Choice

    families = [root.family for root in Choice.__subclasses__() if root.family is not None]
    return [{tag for tag in family.members if len(tag) > 3} for family in families]


def lists_of_operators(source: str, families: list[set[str]]) -> list[list[str]]:
    """Lists, tuples and sets that name three or more members of one family, but for the Literal of one class."""
    lists = []
    for node in ast.walk(parsed(source)):
        if not isinstance(node, ast.List | ast.Tuple | ast.Set):
            continue
        words = {element.value for element in node.elts if isinstance(element, ast.Constant)}
        if not any(f'type: Literal["{word}"' in source for word in words):
            lists += [sorted(words & tags) for tags in families if len(words & tags) > 2]
    return lists


def test_no_list_names_operators() -> None:
    """Tags stand in their classes and nowhere else in the library, so that a new operator edits no list."""
    families = families_of_tags()
    assert len(families) >= 10
    assert {name: lists for _, name, source in MODULES if (lists := lists_of_operators(source, families))} == {}


@pytest.mark.parametrize(
    ("source", "lists"),
    [
        ('GNNS = ("rgcn", "sage", "rgat")', [["rgat", "rgcn", "sage"]]),
        (
            'def known(name):\n    return name in {"info_nce", "cross_entropy", "flat_nce"}',
            [["cross_entropy", "flat_nce", "info_nce"]],
        ),
        ('pair = ("rgcn", "sage")', []),
        ('class F1(MetricConfig):\n    type: Literal["macro_f1", "micro_f1", "weighted_f1"]', []),
    ],
)
def test_lists_of_operators_are_found(source: str, lists: list[list[str]]) -> None:
    assert lists_of_operators(source, families_of_tags()) == lists


@each_module
def test_optional_packages_are_imported_inside_functions(path: Path, name: str, source: str) -> None:
    statements = ast.Module(list(at_import_time(parsed(source).body)), [])
    found = [(target, line) for target, line in imported(statements, name) if target.split(".")[0] in OPTIONAL]
    assert found == []


@pytest.mark.parametrize("package", OPTIONAL)
def test_each_optional_package_has_one_home(package: str) -> None:
    """One module, or the modules of one folder."""
    users = [
        path.relative_to(ROOT)
        for path, name, source in MODULES
        if package in source and package in {t.partition(".")[0] for t, _ in imported(parsed(source), name)}
    ]
    home = min((path.parent for path in users), key=lambda folder: len(folder.parts), default=None)
    strangers = [str(path) for path in users if home is not None and home not in path.parents]
    assert strangers == [], f"{package} is at home in {home}"


IMPORT_ALL = """
import importlib, json, sys
from importlib import metadata
from importlib.machinery import PathFinder

blocked, gconstruct, rest = json.loads(sys.argv[1])
find = PathFinder.find_spec


def find_spec(name, path=None, target=None):
    return None if name.split(".")[0] in blocked else find(name, path, target)


PathFinder.find_spec = find_spec  # as if they were not installed: find_spec says None, import says ModuleNotFoundError
failed = {}


def load(names):
    for name in names:
        try:
            importlib.import_module(name)
        except Exception as err:
            failed[name] = f"{type(err).__name__}: {err}"


load(gconstruct)
heavy = sorted({"torch"} & set(sys.modules))
load(rest)
json.dump({"failed": failed, "heavy": heavy, "blocked": sorted(set(blocked) & set(sys.modules))}, sys.stdout)
"""


@pytest.fixture(scope="module")
def bare_import() -> dict[str, Any]:
    """What happens when everything is imported in a fresh process that has no optional package."""
    names = [name for _, name, _ in MODULES if not name.endswith("__main__")]
    ours = [name for name in names if name.startswith("gconstruct")]
    argument = json.dumps([OPTIONAL, ours, [name for name in names if name not in ours]])
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL, argument], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_everything_imports_without_optional_packages(bare_import: dict[str, Any]) -> None:
    assert bare_import["failed"] == {}
    assert bare_import["blocked"] == []


def test_gconstruct_needs_no_torch(bare_import: dict[str, Any]) -> None:
    assert bare_import["heavy"] == []


# ------------------------------------------------------------------------------------------------ sizes, docstrings


@each_module
def test_sizes(path: Path, name: str, source: str) -> None:
    assert len(source.splitlines()) <= MAX_MODULE
    functions = [n for n in ast.walk(parsed(source)) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    long = {f.name: size for f in functions if (size := (f.end_lineno or 0) - f.lineno + 1) > MAX_FUNCTION}
    assert long == {}


def test_tests_and_scripts_are_short_too() -> None:
    long = {}
    for name in git("ls-files", "--cached", "--others", "--exclude-standard", "*.py"):
        path = ROOT / name
        lines = len(path.read_text(encoding="utf-8").splitlines()) if path.is_file() else 0
        if lines > MAX_MODULE:
            long[name] = lines
    assert long == {}


@each_module
def test_module_docstring(path: Path, name: str, source: str) -> None:
    docstring = ast.get_docstring(parsed(source))
    assert docstring, "a module says what it is for"
    assert len(docstring.splitlines()) <= LONG_DOCSTRING.get(path.relative_to(ROOT).as_posix(), MAX_DOCSTRING)


# ------------------------------------------------------------------------------------------------ files of the repo


def git(*arguments: str) -> list[str]:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1) or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    return [line for line in done.stdout.splitlines() if line]


def test_constraints_fit_any_index() -> None:
    """A local version, as of a CPU build of torch, is on one index only; a package has one line."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert [pin for pin in pins if "+" in pin or "@" in pin] == []
    names = [re.split(r"[<>=~!]", pin, maxsplit=1)[0].lower() for pin in pins]
    assert sorted({name for name in names if names.count(name) > 1}) == []


def test_no_paths_of_somebodys_machine() -> None:
    pattern = re.compile(r"(?<![\w.\-}])/(?:work|root|tmp)/")
    found = []
    for name in git("ls-files", "--cached", "--others", "--exclude-standard"):
        path = ROOT / name
        if not path.is_file() or path == Path(__file__):
            continue
        text = path.read_bytes().decode("utf-8", errors="ignore")
        found += [f"{name}:{n}" for n, line in enumerate(text.splitlines(), 1) if pattern.search(line)]
    assert found == []


def shipped_pipelines() -> list[Path]:
    """YAML files of the recipes that are pipelines: those with a `graph:` section."""
    files = sorted(p for top in ("training_scripts", "inference") for p in (ROOT / top).rglob("*.yaml"))
    files = [p for p in files if not {"runs", "tables"} & set(p.parts)]
    data = {path: parse_yaml(path.read_text(encoding="utf-8"), str(path)).data for path in files}
    return [path for path in files if isinstance(data[path], dict) and "graph" in data[path]]


@pytest.mark.parametrize("path", shipped_pipelines(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_shipped_pipelines_load(path: Path) -> None:
    load_pipeline(path)
