"""report.html and report.json in a run's folder, each of which appears complete. They are no result: no fingerprint
or hash depends on them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from graphstorm_like.files import write_text
from graphstorm_like.reports.model import RunReport
from graphstorm_like.reports.page import page
from graphstorm_like.reports.profile import profile_run
from graphstorm_like.reports.run_folder import REPORT_HTML, REPORT_JSON, RunFolder


def write_report(folder: RunFolder, target: Path | None = None, command: Sequence[str] | None = None) -> Path:
    """Make the report of a run; returns the path of the page. target: of the page, by default report.html of the run;
    report.json is written beside it, under its name. command: what was run; None: as the present report has it.

    Raises DataError when something that the run has written cannot be read, OSError when nothing can be written.
    """
    started = time.perf_counter()
    path = folder.path / REPORT_HTML if target is None else target
    known = folder.report().get("command")
    report = profile_run(folder, command if command is not None else known)
    report.report_seconds = time.perf_counter() - started
    path.parent.mkdir(parents=True, exist_ok=True)
    numbers = path.with_name(REPORT_JSON) if target is None else path.with_suffix(".json")
    write_text(path, page(report))
    write_text(numbers, report.model_dump_json(indent=1) + "\n")  # last: its fingerprint says of which state both are
    return path


def report_of_run(folder: Path, command: Sequence[str] | None, say: Callable[[str], None]) -> list[Path]:
    """The report at the end of a run, unless it is there already; returns its files. It never raises: a run whose
    report fails is a run with a warning, and without files, for a report that is there is of an earlier state."""
    try:
        run = RunFolder(folder)
        if not (run.report() and (run.path / REPORT_HTML).is_file()):
            write_report(run, command=command)
        return [run.path / REPORT_HTML, run.path / REPORT_JSON]
    except Exception as error:  # the run's results are there, whatever is wrong with its report
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        say(f"report: not made, the results are complete without it ({type(error).__name__}: {first[:300]})")
        return []


__all__ = ["RunReport", "report_of_run", "write_report"]
