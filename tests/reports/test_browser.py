"""Every page in a real browser, on a desk and on a phone, in light and in dark: nothing is cut, broken or too faint."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import numpy as np
import pytest

from graphstorm_like.launch.stages import run_pipeline
from graphstorm_like.progress import Reporter
from graphstorm_like.reports.classes import class_scores, confusion, count_classes
from graphstorm_like.reports.compare import compare
from graphstorm_like.reports.compare_page import compare_page
from graphstorm_like.reports.page import page
from graphstorm_like.reports.run_folder import RunFolder
from graphstorm_like.reports.write import write_report
from tests.deploy.conftest import make_packed, packed
from tests.reports.browser import Browser, browser
from tests.reports.test_compare import written
from tests.reports.test_page import everything
from tests.serve.test_server import Server

__all__ = ["make_packed", "packed"]
pytestmark = pytest.mark.slow
QUIET = Reporter(quiet=True)
VIEWS = [(width, scheme) for width in (1200, 400) for scheme in ("light", "dark")]
NAMES = [
    "Headphones", "Televisions and Screens", "Books", "Kitchen Appliances", "Garden Furniture", "Toys", "Smartphones",
    "Laptops & Computers", "Uninterruptible Power Supplies", "Sportswear", "Bicycles", "Musical Instruments", "Pets",
]  # fmt: skip


def many_classes(folder: Path) -> Path:
    """A report with all sections, and 13 classes of 2 to 40 rows."""
    report = everything("Uninterruptible power supply", len(NAMES))
    rng = np.random.default_rng(0)
    true = np.repeat(np.arange(len(NAMES)), np.linspace(2, 40, len(NAMES)).astype(int))
    said = np.where(rng.random(len(true)) < 0.6, true, rng.integers(len(NAMES), size=len(true)))
    report.classes = class_scores(count_classes(true, said, len(NAMES)), NAMES)
    report.confusion = confusion(true, said, NAMES)
    report.curves[0].overfitting = "The model knows its training rows by heart."
    path = folder / "many.html"
    path.write_text(page(report), encoding="utf-8")
    return path


def compared(folder: Path, count: int, title: str) -> Path:
    """A page of runs whose names are those of a sweep."""
    runs = []
    for i in range(count):
        run = folder / "runs" / f"train.lr=0.{i},model.gnn.hidden={64 + i}"
        scores = {"accuracy": 0.5 + 0.01 * i, "macro_f1": 0.4}
        runs.append(RunFolder(written(run, {"valid": scores, "test": scores}, lr=0.01 * (i + 1))))
    path = folder / "compare.html"
    path.write_text(compare_page(compare(runs), title, "gsl compare"), encoding="utf-8")
    return path


async def looked_at(urls: dict[str, str]) -> dict[str, list[str]]:
    """Problems by page and view."""
    found = {}
    async with browser() as tab:
        for name, url in urls.items():
            for width, scheme in VIEWS:
                await tab.view(width, scheme)
                await tab.open(url)
                await until_settled(tab)
                problems = await tab.problems() + tab.errors
                tab.errors = []
                if name == "many":
                    problems += await confusions(tab, width)
                if problems:
                    found[f"{name}, {width} px, {scheme}"] = problems
    return found


async def until_settled(tab: Browser) -> None:
    """The endpoint's page asks for what it shows."""
    for _ in range(100):
        asks = await tab.evaluate("!!document.getElementById('ask')")
        if not asks or await tab.evaluate("document.querySelectorAll('#cards .card').length >= 3"):
            return
        await asyncio.sleep(0.05)
    raise AssertionError("the endpoint's page must show cards within 5 s")


async def confusions(tab: Browser, width: int) -> list[str]:
    """Every column of the confusion table is seen at 1,200 px, and can be scrolled to at 400, under its name."""
    facts = await tab.evaluate(
        """(() => {
          const box = document.querySelector(".heat"), heads = box.querySelectorAll("thead th");
          const before = box.scrollWidth - box.clientWidth;
          box.scrollLeft = 1e6;
          const last = heads[heads.length - 1].getBoundingClientRect(), outer = box.getBoundingClientRect();
          const name = box.querySelector("tbody th").getBoundingClientRect();
          const sticky = name.left >= outer.left - 1;
          return { columns: heads.length - 1, before, last: last.right <= outer.right + 1, sticky };
        })()"""
    )
    problems = []
    if facts["columns"] != len(NAMES) or not facts["last"] or not facts["sticky"]:
        problems.append(f"confusions: {facts}")
    if width == 1200 and facts["before"] > 1:
        problems.append(f"confusions: {facts['before']} px are hidden")
    return problems


def test_every_page_reads_on_every_screen(packed, tmp_path: Path) -> None:
    run_pipeline(packed.pipeline, reporter=QUIET)
    pages = {
        "run": write_report(RunFolder(packed.pipeline.output)),
        "graph": packed.graph / "report.html",
        "many": many_classes(tmp_path),
        "compare": compared(tmp_path / "two", 2, "2 runs compared"),
        "sweep": compared(tmp_path / "sweep", 8, "Sweep of a shop"),
    }
    server = Server(str(packed.folder), "--graph", str(packed.graph))
    try:
        server.wait()
        urls = {name: path.as_uri() for name, path in pages.items()}
        urls["serve"] = f"http://127.0.0.1:{server.port}/?id={packed.inferred()['id'][0].as_py()}"
        found = asyncio.run(looked_at(urls))
    finally:
        server.end()
    assert found == {}, json.dumps(found, indent=1, ensure_ascii=False)


def test_what_is_wrong_is_found(tmp_path: Path) -> None:
    """The measurements can fail."""
    bad = tmp_path / "bad.html"
    bad.write_text(
        '<!doctype html><html><body style="background:#fff"><p style="color:#bbb">faint</p>'
        '<div style="width:100px;overflow:hidden"><b style="display:block;width:300px">cut</b></div>'
        '<table style="width:40px;table-layout:fixed"><tr><td style="word-break:break-all">Headphones</td></tr></table>'
        '<div style="width:2000px">wide</div><script>console.error("oh")</script></body></html>',
        encoding="utf-8",
    )

    async def look() -> list[str]:
        async with browser() as tab:
            await tab.view(400, "light")
            await tab.open(bad.as_uri())
            return await tab.problems() + tab.errors

    found = "\n".join(asyncio.run(look()))
    for part in ("contrast 1.", "cut: <B", "broken word Headphones", "the page is", "oh"):
        assert part in found
