"""SIGKILL at moments spread over a whole `gsl run`, then the same command until it is done: are the ends byte-equal?

    python benchmarks/fuzz_kills.py --count 20 --seed 0

The shop of the tests is run once undisturbed. Each kill has an output folder of its own, and comes shortly after a line
of the run's own log, so that construction, training and inference all have some, however fast the machine is. Compared
byte by byte: the graph's Arrow files, the best weights, predictions, embeddings; scores as JSON. Reports, costs, logs
and times may differ.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from measure import exit_with_message

from graphstorm_like.files import file_hash
from graphstorm_like.launch.process import GSL
from graphstorm_like.testing.graphs import write_shop_pipeline

COMPARED = ("graph/part-*/**/*.arrow", "train/best/*.safetensors", "infer/predictions/*", "infer/embeddings/*/*")
SCORES = "evaluate/metrics.json"
LAST_LINE = "infer: done"
"""What a run prints when all that is compared has been written"""
POLL_SECONDS, DELAY_SECONDS = 0.01, 0.3
"""A kill comes up to so long after a line: at a moment of the work that follows it"""


def results(output: Path) -> dict[str, str]:
    """Hashes of the compared files by their names, and the scores without their times."""
    found: dict[str, str] = {}
    for pattern in COMPARED:
        for path in sorted(output.glob(pattern)):
            found[path.relative_to(output).as_posix()] = file_hash(path)
    scores = json.loads((output / SCORES).read_text(encoding="utf-8"))
    found[SCORES] = json.dumps({name: scores[name] for name in scores if "second" not in name}, sort_keys=True)
    return found


def start(yaml: Path, output: Path) -> subprocess.Popen[str]:
    """`gsl run` in a session of its own; its lines go to <output>.log."""
    command = [*GSL, "run", str(yaml), f"output={output}", "launch.threads=1"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with Path(f"{output}.log").open("a", encoding="utf-8") as log:
        return subprocess.Popen(
            command, stdout=log, stderr=subprocess.STDOUT, text=True, start_new_session=True, env=environment
        )


def kill_once(yaml: Path, output: Path, lines: int, delay: float) -> str | None:
    """Kill a run `delay` seconds after it has printed so many lines, and run it to its end. Returns the last line
    before the kill; None when the run ended first, so that nothing was killed."""
    job, log = start(yaml, output), Path(f"{output}.log")
    while job.poll() is None and len(printed(log)) < lines:
        time.sleep(POLL_SECONDS)
    try:
        job.wait(delay)
        return None
    except subprocess.TimeoutExpired:
        os.killpg(job.pid, signal.SIGKILL)
        job.wait()
    said = printed(log)
    code = start(yaml, output).wait(600)
    if code != 0:
        raise SystemExit(f"after a kill at line {lines} the run must succeed (got exit code {code}): see {log}")
    return said[-1] if said else "(nothing was printed yet)"


def printed(log: Path) -> list[str]:
    """Return the lines of a log."""
    return log.read_text(encoding="utf-8").splitlines()


def differences(expected: dict[str, str], got: dict[str, str]) -> Iterator[str]:
    """Names of what is missing, new or different."""
    for name in sorted(expected.keys() | got.keys()):
        if expected.get(name) != got.get(name):
            yield name


def main(arguments: Sequence[str]) -> None:
    """Exit code 1 when an end differs."""
    parser = argparse.ArgumentParser(description="Kill runs, run them again, compare the ends.")
    parser.add_argument("--count", type=int, default=20, help="kills")
    parser.add_argument("--seed", type=int, default=0, help="of their moments")
    parser.add_argument("--folder", type=Path, help="where to work; kept. Default: a temporary folder")
    options = parser.parse_args(arguments)
    folder = options.folder or Path(tempfile.mkdtemp(prefix="fuzz-kills-"))
    folder.mkdir(parents=True, exist_ok=True)
    yaml, rng, wrong, kills = write_shop_pipeline(folder), random.Random(options.seed), 0, 0
    if start(yaml, folder / "undisturbed").wait(600) != 0:
        raise SystemExit(f"the undisturbed run must succeed: see {folder / 'undisturbed.log'}")
    expected = results(folder / "undisturbed")
    lines = next(n for n, line in enumerate(printed(folder / "undisturbed.log")) if line.startswith(LAST_LINE))
    print(f"undisturbed: {lines} lines until all is written, {len(expected)} files are compared", flush=True)
    for number in range(options.count):
        after, delay = int(lines * (number + rng.random()) / options.count), DELAY_SECONDS * rng.random()
        output = folder / f"kill-{number}"
        last = kill_once(yaml, output, after, delay)
        if last is None:
            print(f"line {after:2}: no kill, for the run had ended", flush=True)
            continue
        kills += 1
        differing = list(differences(expected, results(output)))
        wrong += bool(differing)
        print(f"line {after:2}: {f'DIFFERENT: {differing}' if differing else 'equal'} after: {last[:90]}", flush=True)
        if not differing:
            shutil.rmtree(output)
    print(f"{kills} kills of {options.count}, seed {options.seed}: {kills - wrong} byte-equal, {wrong} different")
    if options.folder is None and not wrong:
        shutil.rmtree(folder)
    sys.exit(1 if wrong or not kills else 0)


if __name__ == "__main__":
    exit_with_message(main)
