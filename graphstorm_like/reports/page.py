"""RunReport -> report.html: scores first, then what is behind them, what it cost, and how to repeat it.

The page shows the numbers of report.json and nothing else; long lists are cut there and say so. What a task does not
have is absent.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any

import yaml

from gconstruct.report import svg, wording
from gconstruct.report.cards import split_bar
from gconstruct.report.html import Child, Html, details, document, join, pairs, table, tag
from graphstorm_like.reports import plots
from graphstorm_like.reports.model import CurveRecord, RunReport, Score
from graphstorm_like.reports.sections import breakdowns, calibration, classes, confusion, errors, maps, ranks, residuals
from graphstorm_like.reports.style import STYLE
from graphstorm_like.reports.wording import metric, split_title, task_title

LISTED, RELATIONS, MOST_YAML = 15, 30, 100_000
"""Classes of the balance; relations with a line of their own; characters of the configuration"""

Section = tuple[str, Html | None]


def page(report: RunReport) -> str:
    """The whole page."""
    sections: list[Section] = [
        ("Scores", _scores(report)),
        ("Data", _data(report)),
        ("Training", _training(report)),
        ("Classes", classes(report)),
        ("Confusions", confusion(report)),
        ("Calibration", calibration(report)),
        ("Residuals", residuals(report)),
        ("Ranks", ranks(report)),
        ("By degree and text length", breakdowns(report)),
        ("Errors", errors(report)),
        ("Embeddings", maps(report)),
        ("Cost", _cost(report)),
        ("How to repeat", _repeat(report)),
    ]
    present = [(title, body) for title, body in sections if body is not None]
    links = [tag("a", title, href=f"#{_anchor(title)}") for title, _ in present]
    parts: list[Html] = []
    for title, body in present:
        parts.append(tag("section", tag("h2", title), body, id=_anchor(title)))
    main = tag("main", _warnings(report), _header(report), tag("nav", *links), _notes(report), *parts, _footer(report))
    return document(f"{report.name}: run report", STYLE, main)


def _anchor(title: str) -> str:
    return title.lower().replace(" ", "-")


# --------------------------------------------------------------------------------------------------------- the top


def _header(report: RunReport) -> Html:
    about = [task_title(report.task), f"strategy {report.strategy}" if report.strategy else None, report.finished]
    line = " · ".join(text for text in about if text)
    boxes = [_tile(*tile) for tile in _tiles(report)]
    return join([tag("h1", report.name), tag("p", line, class_="soft"), tag("div", *boxes, class_="tiles")])


def _tiles(report: RunReport) -> Iterator[tuple[str, str, str | None, bool]]:
    """(value, what it is, more, whether it is the main one)"""
    chosen = [name for name, facts in report.metrics.items() if facts.selects]
    name = chosen[0] if chosen else next(iter(report.metrics), None)
    for split in ("test", "valid"):
        score = report.scores.get(split, {}).get(name or "")
        if name is not None and score is not None:
            yield metric(score.value), f"{name}, {split_title(split)}", _ends(score), split == "test"
    best = report.best_baseline
    for baseline in [best] if best in report.baselines else report.baselines:
        splits = report.baselines[baseline]
        if name is not None and name in splits.get("test", {}):
            yield metric(splits["test"][name]), f"{name}, simple model: {baseline}", None, False
    if report.looked_at and report.looked_at in report.data.rows:
        rows = report.data.rows[report.looked_at]
        yield f"{rows:,}", f"{split_title(report.looked_at)} rows", None, False
    yield f"{sum(report.data.nodes.values()):,}", "nodes", None, False
    if "train" in report.cost:
        yield wording.seconds(report.cost["train"].seconds), "training", None, False


def _tile(value: str, what: str, more: str | None, main: bool) -> Html:
    small = tag("small", more) if more else None
    return tag("div", tag("b", value), tag("span", what), small, class_="tile main" if main else "tile")


def _ends(score: Score) -> str | None:
    if score.low is None or score.high is None:
        return None
    return f"{metric(score.low)} – {metric(score.high)}"


def _warnings(report: RunReport) -> Html | None:
    if not report.warnings:
        return None
    items = [tag("li", tag("span", "warning", class_="level"), line, class_="warning") for line in report.warnings]
    title = tag("h2", "Too good to be true?", class_="wrong")
    return tag("section", title, tag("ul", *items, class_="findings"))


def _notes(report: RunReport) -> Html | None:
    if not report.notes:
        return None
    items = [tag("li", tag("span", "note", class_="level"), note, class_="note") for note in report.notes]
    return tag("ul", *items, class_="findings")


# ---------------------------------------------------------------------------------------------------------- scores


def _scores(report: RunReport) -> Html | None:
    if not report.scores:
        return None
    parts: list[Child] = []
    names = list(report.metrics) or sorted({n for of in report.scores.values() for n in of if "/" not in n})
    for split in sorted(report.scores, key=["test", "valid", "train"].index):
        parts.append(_split_scores(report, split, names))
    some = any(score.low is not None for of in report.scores.values() for score in of.values())
    explained = "Small numbers: 95 % intervals, bootstrap over rows; they tell nothing of other seeds. " if some else ""
    if report.baselines:
        explained += "Simple models are scored on the same rows by the same metrics."
    if explained:
        parts.append(tag("p", tag("small", explained), class_="soft"))
    if report.protocol:
        parts.append(pairs((key, str(value)) for key, value in report.protocol.items()))
    return tag("div", *parts)


def _split_scores(report: RunReport, split: str, names: list[str]) -> Html:
    scores = report.scores[split]
    model: list[Child] = [tag("b", "this run")]
    for name in names:
        score = scores.get(name)
        ends = None if score is None else _ends(score)
        small = tag("div", tag("small", ends, class_="soft")) if ends else None
        model.append(join([tag("b", metric(None if score is None else score.value)), small]))
    rows: list[list[Child]] = [model]
    for baseline, by_split in report.baselines.items():
        if split in by_split:
            rows.append([baseline, *(metric(by_split[split].get(name)) for name in names)])
    for attack, by_split in report.attacked.items():
        rows.append([f"this run under {attack}", *(metric(by_split.get(split, {}).get(name)) for name in names)])
    count = report.data.rows.get(split)
    title = split_title(split).capitalize() + (f", {wording.count(count, 'row')}" if count else "")
    arrows = [f"{name} {_direction(report, name)}".strip() for name in names]
    whole = table([title, *arrows], rows, "." + "#" * len(names))
    return tag("div", whole, _relations(report, split), class_="card")


def _direction(report: RunReport, name: str) -> str:
    facts = report.metrics.get(name)
    return "" if facts is None or facts.higher_is_better else "(less is better)"


def _relations(report: RunReport, split: str) -> Html | None:
    """Scores of single relations: 'mrr/a:r:b'."""
    by_relation: dict[str, dict[str, Score]] = {}
    for name, score in report.scores[split].items():
        of, _, relation = name.partition("/")
        if relation:
            by_relation.setdefault(relation, {})[of] = score
    if not by_relation:
        return None
    names = list(dict.fromkeys(name for scores in by_relation.values() for name in scores))
    rows: list[list[Child]] = []
    for relation, scores in list(by_relation.items())[:RELATIONS]:
        rows.append([relation, *(metric(scores[name].value if name in scores else None) for name in names)])
    more = len(by_relation) - RELATIONS
    tail = tag("p", f"{more:,} more are in report.json.", class_="soft") if more > 0 else None
    whole = table(["relation", *names], rows, "." + "#" * len(names))
    return details(f"By relation ({len(by_relation):,})", whole, tail, open_=len(by_relation) <= 8)


# ------------------------------------------------------------------------------------------------------------ data


def _data(report: RunReport) -> Html | None:
    data = report.data
    if not data.nodes:
        return None
    parts: list[Child] = []
    if data.rows:
        what = "labelled rows" if data.classes or data.numbers else "edges"
        parts.append(tag("div", tag("h3", f"Splits of the {what}"), split_bar({"none": 0, **data.rows}),
                         _balance(report), _numbers(report), class_="card"))  # fmt: skip
    nodes: list[list[Child]] = [[name, f"{count:,}"] for name, count in data.nodes.items()]
    edges: list[list[Child]] = [[name, f"{count:,}"] for name, count in data.edges.items()]
    graph = [table(["node type", "nodes"], nodes[:200], ".#")]
    if edges:
        graph.append(table(["edge type (reverses left out)", "edges"], edges[:200], ".#"))
    folded = len(nodes) + len(edges) > 24
    whole = tag("div", *(tag("div", each) for each in graph), class_="grid")
    parts.append(details("Nodes and edges by type", whole, open_=not folded))
    return tag("div", *parts)


def _balance(report: RunReport) -> Html | None:
    """Classes by split: the share of the split's rows."""
    data = report.data
    if not data.class_counts:
        return None
    splits = [split for split in data.class_counts if data.rows.get(split)]
    totals = [sum(column) for column in zip(*data.class_counts.values(), strict=True)]
    order = sorted(range(len(totals)), key=lambda i: -totals[i])
    largest = max(totals, default=0) or 1
    rows: list[list[Child]] = []
    for i in order[:LISTED]:
        cells = []
        for split in splits:
            count = data.class_counts[split][i]
            cells.append(f"{count:,} ({wording.share(count, data.rows[split])})")
        rows.append([svg.cut(data.classes[i], 40), svg.meter(totals[i] / largest), *cells])
    more = len(order) - LISTED
    tail = tag("p", tag("small", f"{more:,} more classes are in report.json.")) if more > 0 else None
    return join([table(["class", "", *splits], rows, ".." + "#" * len(splits)), tail])


def _numbers(report: RunReport) -> Html | None:
    if not report.data.numbers:
        return None
    rows: list[list[Child]] = []
    for split, spread in report.data.numbers.items():
        values = [wording.number(v) for v in (spread.min, spread.mean, spread.std, spread.max)]
        rows.append([split, f"{report.data.rows[split]:,}", *values])
    return table(["split", "rows", "min", "mean", "std", "max"], rows, ".#####")


# -------------------------------------------------------------------------------------------------------- training


def _training(report: RunReport) -> Html | None:
    if not report.curves:
        return None
    return tag("div", *(_phase(curve, len(report.curves) > 1) for curve in report.curves))


def _phase(curve: CurveRecord, several: bool) -> Html:
    plotted = []
    for name, points in {"loss": curve.loss, **curve.valid}.items():
        if points:
            title = "training loss" if name == "loss" else f"validation {name}"
            last = f"last {metric(points[-1][1])}"
            head = [tag("span", title, class_="name"), " ", tag("small", last, class_="soft")]
            plotted.append(tag("div", *head, plots.line(points, f"{title} by epoch", curve.best_epoch)))
    warning = tag("p", tag("span", "overfitting", class_="level"), curve.overfitting, class_="remark")
    best = f"The model is that of epoch {curve.best_epoch}, chosen by validation." if curve.best_epoch else ""
    head_line = tag("header", tag("h3", f"Phase {curve.phase}")) if several else None
    return tag("div", head_line, tag("div", *plotted, class_="grid"), tag("p", tag("small", best), class_="soft"),
               warning if curve.overfitting else None, class_="card")  # fmt: skip


# ------------------------------------------------------------------------------------------------ cost, repetition


def _cost(report: RunReport) -> Html | None:
    if not report.cost:
        return None
    longest = max(cost.seconds for cost in report.cost.values()) or 1.0
    rows: list[list[Child]] = []
    for stage, cost in report.cost.items():
        peak = wording.size(cost.peak_bytes) if cost.peak_bytes else "-"
        name = f"{stage} (since its last resume)" if cost.resumed else stage
        rows.append([name, svg.meter(cost.seconds / longest), wording.seconds(cost.seconds),
                     wording.seconds(cost.cpu_seconds), peak, f"{cost.processes:,}"])  # fmt: skip
    known = [cost.cores for cost in report.cost.values() if cost.cores]
    seconds, cpu = (
        sum(values) for values in zip(*((c.seconds, c.cpu_seconds) for c in report.cost.values()), strict=True)
    )
    total = f"{wording.seconds(seconds)} in all, {wording.seconds(cpu)} of CPU time"
    total += f", on {wording.count(known[-1], 'core')}." if known else "."
    explained = tag("p", tag("small", "Peak: resident memory of the largest process, pages of mapped files included."))
    head = ["stage", "", "time", "CPU time", "peak memory", "processes"]
    return tag("div", tag("p", total), table(head, rows, "..####"), explained, class_="card")


def _repeat(report: RunReport) -> Html:
    versions = [(name, version) for name, version in report.versions.items() if version is not None]
    text, tail = yaml_text(report.settings), None
    if len(text) > MOST_YAML:
        text, tail = text[:MOST_YAML], tag("p", "The whole of it is in train/pipeline.json.", class_="soft")
    command = shlex.join(report.command) if report.command else None
    how = tag("pre", command, class_="command") if command else tag(
        "p", "The command was not recorded: save the configuration below as pipeline.yaml, then gsl run pipeline.yaml."
    )  # fmt: skip
    return join([
        how,
        pairs([("seed", f"{report.seed}"), *versions]),
        details("The resolved configuration, defaults filled in", tag("pre", _plain(text)), tail),
    ])  # fmt: skip


def yaml_text(settings: dict[str, Any]) -> str:
    """The configuration as YAML that `gsl run` takes."""
    return yaml.safe_dump(settings, sort_keys=False, allow_unicode=True, default_flow_style=None, width=110)


def _plain(text: str) -> Html:
    """Lines stay lines."""
    return Html("\n".join(join([line]) for line in text.splitlines()))


def _footer(report: RunReport) -> Html:
    took = "" if report.report_seconds is None else f" in {wording.seconds(report.report_seconds)}"
    return tag("footer", f"Made{took} from what the run has written; nothing was computed again. The same numbers "
                         f"are in report.json.")  # fmt: skip
