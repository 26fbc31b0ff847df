"""Shipped configurations, each with one to three mutations, through `gsl validate`: valid, or refused in plain words?

    python benchmarks/fuzz_configurations.py --count 1000 --seed 0     (--only NUMBER: one of them again)

Each case is drawn from the seed and its number alone. A failure is an error that is not the project's own, a message of
the machinery, one of several lines or control characters, or JSON that cannot be read. A failure loses those mutations
that it does not need.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import io
import json
import random
import re
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from measure import exit_with_message

from graphstorm_like.cli.main import app
from graphstorm_like.config.yaml_source import parse_yaml
from graphstorm_like.errors import ConfigError, GslError

ROOT = Path(__file__).parents[1]
JARGON = re.compile(r"pydantic|Input should|Value should|validation error|function-|<class '|object at 0x|NoneType")
LONGEST = 3000
DEEP: Any = "x"
for _ in range(70):
    DEEP = [DEEP]
ODD: list[Any] = [
    None, True, 0, -1, 10**9, 10**30, 1.5, float("inf"), float("nan"), "", " ", "x", "x" * 5000, "a:b:c", "é\u202e",
    "\ud800", "\x00", "\x1b[31m", "a\nb", "../..", "~", "memory://x", "{x}", "${HOME}", [], {}, [None], {"": 1},
    {"type": [1]}, {"x": {"x": {}}}, list(range(1000)), DEEP, "2020-01-01", b"\xff",
]  # fmt: skip
PIECES = [
    "\t", "{", "}", "[", "]", "&a ", "*a", "*nope", "<<: *a", "!!python/object:os.system x", "%", "@", "`", '"', "'",
    "|", ">", "? ", "- ", ": ", "#", "\r", "\u2028", "\ufeff", "&a [*a]", "<<: [1]", "---\n", "!!binary x",
]  # fmt: skip
BYTES = [b"\xff", b"\x00", b"\xe9", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\x1f\x8b"]
OVERRIDES = ["a.b=", "=x", "train.lr=[", "train..lr=1", "train.lr", "[0]=1", "graph.edges[99].source=x", "train[0]=1",
             "graph.edges[-1]=1", "train.lr=1=2", "train.lr=\udcff", "'=1", "graph.edges.source=1", "train=\x00",
             "graph=3", "task=", "model.gnn={", "train.lr=!!int x", "\udcff=1", "graph.nodes.'a.b'.id=x"]  # fmt: skip
LAUGHS = "l0: &l0 [x, x]\n" + "".join(f"l{i}: &l{i} [{', '.join([f'*l{i - 1}'] * 9)}]\n" for i in range(1, 12))
KINDS = ("delete", "misspell", "retype", "swap", "borrow", "wrap", "text", "line", "bytes", "laughs", "override")
Part = tuple[str, int]
"""A mutation and the seed of its draws."""


def bases() -> list[Any]:
    """The shipped pipelines, with paths from their own folders."""
    paths = sorted(ROOT.glob("training_scripts/**/*.yaml"))
    return [parse_yaml(path.read_text(encoding="utf-8"), path.name).data for path in paths]


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """(container, key or index) of all values in a tree."""
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, entry in list(entries):
        yield value, key
        yield from places(entry)


def mutate_tree(data: Any, other: Any, kind: str, rng: random.Random) -> None:
    """Change one place of `data`; `other` is another configuration, which lends values."""
    holder, key = rng.choice(list(places(data)) or [({"": 0}, "")])
    if kind == "delete":
        del holder[key]
    elif kind == "misspell" and isinstance(key, str) and key:
        at = rng.randrange(len(key))
        holder[key[:at] + rng.choice("abcxyz_") + key[at + rng.randrange(2) :]] = holder.pop(key)
    elif kind == "retype":
        holder[key] = copy.deepcopy(rng.choice(ODD))
    elif kind in ("swap", "borrow"):
        lender, name = rng.choice(list(places(data if kind == "swap" else other)) or [({"": 0}, "")])
        holder[key] = copy.deepcopy(lender[name])
    elif kind == "wrap":
        holder[key] = rng.choice([[holder[key]], {"type": holder[key]}, str(holder[key])])


def mutate_text(text: str, kind: str, rng: random.Random) -> str:
    """Damage the syntax in one place."""
    if kind == "laughs":
        return text + LAUGHS
    if kind == "line":
        lines = text.splitlines(keepends=True) or [""]
        at = rng.randrange(len(lines))
        lines[at] = rng.choice(["", lines[at] * 2, " " + lines[at], "\t" + lines[at], lines[at].replace(":", "", 1)])
        return "".join(lines)
    at = rng.randrange(len(text) + 1)
    return text[:at] + rng.choice(PIECES) + text[at + rng.randrange(3) :]


def build(all_bases: Sequence[Any], base: int, parts: Sequence[Part]) -> tuple[bytes, list[str]]:
    """The YAML's bytes and the overrides: first the mutations of the tree, then of the text, then of the bytes."""
    data, overrides = copy.deepcopy(all_bases[base]), []
    ordered = sorted(parts, key=lambda part: KINDS.index(part[0]))
    for kind, seed in (part for part in ordered if KINDS.index(part[0]) < KINDS.index("text")):
        rng = random.Random(seed)
        mutate_tree(data, rng.choice(all_bases), kind, rng)
    text = yaml.safe_dump(data, sort_keys=False)
    for kind, seed in (part for part in ordered if part[0] in ("text", "line", "laughs")):
        text = mutate_text(text, kind, random.Random(seed))
    content = text.encode("utf-8", "surrogatepass")
    for kind, seed in ordered:
        rng = random.Random(seed)
        if kind == "bytes":
            at = rng.choice([0, rng.randrange(len(content) + 1)])
            content = rng.choice([content[:at] + rng.choice(BYTES) + content[at:], content[:at]])
        elif kind == "override":
            overrides.append(rng.choice(OVERRIDES))
    return content, overrides


def gsl(*arguments: str) -> tuple[int, str, BaseException | None]:
    """A command in this process: exit code, what it prints in strict UTF-8, and its error."""
    printed = io.BytesIO()
    error: Exception | None
    out = io.TextIOWrapper(printed, encoding="utf-8", write_through=True)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
        try:
            app(list(arguments))
        except SystemExit as ended:
            code, error = int(ended.code or 0), None
        except GslError as raised:
            code, error = raised.exit_code, raised
        except Exception as raised:
            code, error = 70, raised
        else:
            code, error = 0, None
    return code, printed.getvalue().decode(), error


def wrong_with(problem: str, where: str) -> str:
    """What is wrong with a message; '' when nothing is."""
    if not problem.startswith((where, "override ")):
        return "does not begin with the file or the override"
    if JARGON.search(problem):
        return "speaks of the machinery"
    if len(problem) > LONGEST:
        return f"has {len(problem)} characters"
    return "" if problem.isprintable() else "has line breaks or control characters"


def failure_of(content: bytes, overrides: Sequence[str], folder: Path) -> tuple[str, str]:
    """(outcome, failure); the failure is '' when all is well."""
    path = folder / "p.yaml"
    path.write_bytes(content)
    code, _, error = gsl("validate", "--no-tables", str(path), *overrides)
    if error is not None and not isinstance(error, GslError):
        return "traceback", "".join(traceback.format_exception(error)[-4:])
    if isinstance(error, ConfigError):
        for problem in error.problems:
            if wrong := wrong_with(problem, str(path)):
                return "message", f"{wrong}: {problem[:300]!r}"
    json_code, printed, json_error = gsl("validate", "--json", "--no-tables", str(path), *overrides)
    if json_error is not None:
        return "traceback", "--json: " + "".join(traceback.format_exception(json_error)[-4:])
    if json_code != code or ((code != 2 or error is not None) and json.loads(printed)["valid"] != (code == 0)):
        return "json", f"exit code {code}, with --json {json_code}"
    return f"exit code {code}", ""


def main(arguments: Sequence[str]) -> None:
    """Exit code 1 when a case fails."""
    parser = argparse.ArgumentParser(description="Mutated configurations through gsl validate.")
    parser.add_argument("--count", type=int, default=1000, help="configurations")
    parser.add_argument("--seed", type=int, default=0, help="of the draws")
    parser.add_argument("--only", type=int, help="run one case, and print its YAML")
    options = parser.parse_args(arguments)
    all_bases, outcomes, failures = bases(), Counter[str](), 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for number in range(options.count) if options.only is None else [options.only]:
            rng = random.Random(f"{options.seed}/{number}")
            base = rng.randrange(len(all_bases))
            parts = [(rng.choice(KINDS), rng.randrange(2**32)) for _ in range(rng.randint(1, 3))]
            outcome, failure = failure_of(*build(all_bases, base, parts), folder)
            outcomes[outcome] += 1
            if options.only is not None:
                print(build(all_bases, base, parts))
            if not failure:
                continue
            failures += 1
            for part in list(parts):  # leave out what the failure does not need
                fewer = [other for other in parts if other != part]
                if failure_of(*build(all_bases, base, fewer), folder)[0] == outcome:
                    parts = fewer
            print(f"--seed {options.seed} --only {number}: {outcome} by {[kind for kind, _ in parts]}\n{failure}")
    print(f"{sum(outcomes.values())} configurations, seed {options.seed}: {dict(sorted(outcomes.items()))}")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    exit_with_message(main)
