"""The words of the report: numbers as people read them, and the sentences of findings. The page has its headings in
`html`."""

from __future__ import annotations

from gconstruct.report.model import Finding, LeakRecord


def number(value: float | None, scale: float = 0.0) -> str:
    """'-', '12', '1,234,567', '0.0123', '1.2e+09'. scale: of numbers beside which a millionth is nothing."""
    if value is None:
        return "-"
    value = 0.0 if abs(value) < 1e-6 * scale else value
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{int(value):,}"
    text = f"{value:,.4g}" if abs(value) < 1e4 else f"{value:,.0f}" if abs(value) < 1e9 else f"{value:.3g}"
    return text


def share(part: float, whole: float = 1.0) -> str:
    """'0 %', '< 0.1 %', '12.3 %', '> 99.9 %', '100 %'; '-' of nothing"""
    if not whole:
        return "-"
    percent = 100 * part / whole
    if percent in (0, 100):
        return f"{percent:.0f} %"
    if percent < 0.1:
        return "< 0.1 %"
    return "> 99.9 %" if percent > 99.9 else f"{percent:.1f} %"


def size(count: float) -> str:
    """'12 B', '3.4 MB'"""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 100 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:,.1f} TB"


def seconds(value: float) -> str:
    """'7 ms', '0.12 s', '3.4 s', '2 min 05 s'"""
    if value < 0.1:
        return f"{1000 * value:.0f} ms"
    if value < 60:
        return f"{value:.2f} s" if value < 1 else f"{value:.1f} s"
    minutes, rest = divmod(int(value + 0.5), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def count(value: int, what: str) -> str:
    """'1 node', '68,824 nodes'"""
    return f"{value:,} {what}" if value == 1 else f"{value:,} {what}s"


# ---------------------------------------------------------------------------------------------------------- findings


def _warning(kind: str, where: str, what: str, advice: str = "") -> Finding:
    return Finding(level="warning", kind=kind, where=where, what=what, advice=advice)


def _note(kind: str, where: str, what: str, advice: str = "") -> Finding:
    return Finding(level="note", kind=kind, where=where, what=what, advice=advice)


def isolated(where: str, nodes: int, total: int, many: bool) -> Finding:
    """Nodes without an edge."""
    what = f"{nodes:,} of {count(total, 'node')} ({share(nodes, total)}) have no edge of any type."
    advice = "Messages never reach them: look whether their ids are written alike in both tables." if many else ""
    return _warning("isolated", where, what, advice) if many else _note("isolated", where, what)


def no_edges(where: str) -> Finding:
    """An edge type without edges."""
    return _warning(
        "no_edges", where, "The edge type has no edges.", "Look at its table, and at the rows that were left out."
    )


def repeated(where: str, edges: int, total: int) -> Finding:
    """Edges with the same ends."""
    what = f"{edges:,} of {count(total, 'edge')} ({share(edges, total)}) have the same two ends as another edge."
    return _note("repeated", where, what, "Each counts as an edge of its own.")


def loops(where: str, edges: int, total: int) -> Finding:
    """Edges from a node to itself."""
    return _note(
        "loops", where, f"{edges:,} of {count(total, 'edge')} ({share(edges, total)}) lead from a node to itself."
    )


def hub(where: str, node: str, degree: int, mean: float) -> Finding:
    """A node with very many edges."""
    what = f"{node} has {count(degree, 'edge')}, {number(round(degree / mean))} times the mean."
    return _note("hub", where, what, "Samplers read at most a fanout of them; look whether it is a placeholder.")


def not_finite(where: str, numbers: int) -> Finding:
    """NaN or infinite features."""
    return _warning(
        "not_finite", where, f"{count(numbers, 'number')} are NaN or infinite.", "Training on them gives NaN losses."
    )


def constant(where: str, dimensions: int, width: int) -> Finding:
    """A feature with one value."""
    if width == 1:
        return _warning("constant", where, "All rows have the same value.", "The feature tells nothing: leave it out.")
    what = f"{dimensions:,} of its {width:,} dimensions have one value only."
    return _warning("constant", where, what) if dimensions == width else _note("constant", where, what)


def mostly_zero(where: str, zeros: float) -> Finding:
    """A number that is almost always 0."""
    return _note("mostly_zero", where, f"{share(zeros)} of the numbers are 0.")


def far_out(where: str, value: float, deviations: float) -> Finding:
    """A number far from all others."""
    what = f"The number {number(value)} lies {number(round(deviations))} standard deviations from the mean."
    return _note("far_out", where, what, "Look whether it is an error; log1p or a transform of ranks tames long tails.")


def texts_missing(where: str, missing: int, total: int, many: bool) -> Finding:
    """Rows without a text."""
    what = f"{missing:,} of {count(total, 'text')} ({share(missing, total)}) are missing or empty."
    return _warning("texts_missing", where, what) if many else _note("texts_missing", where, what)


def texts_alike(where: str, distinct: int, seen: int) -> Finding:
    """The same texts again and again."""
    return _note("texts_alike", where, f"Only {count(distinct, 'different text')} among {seen:,} looked at.")


def no_rows(where: str, split: str) -> Finding:
    """A split without labels."""
    return _warning("no_rows", where, f"No row is in the split {split!r}.", "A task on this label cannot use it.")


def classes_unseen(where: str, classes: list[str], total: int) -> Finding:
    """Classes that training does not see."""
    names = ", ".join(repr(name) for name in classes[:3]) + (" ..." if len(classes) > 3 else "")
    what = f"{len(classes):,} of {total:,} classes have no training row, but rows of validation or test: {names}"
    return _warning("classes_unseen", where, f"{what}.", "No model can learn them.")


def one_class(where: str) -> Finding:
    """A label with one class."""
    return _warning("one_class", where, "All rows have the same class.", "There is nothing to predict.")


def unbalanced(where: str, largest: str, part: float, smallest: str, rows: int) -> Finding:
    """Classes of very different sizes."""
    what = (
        f"The largest class, {largest!r}, has {share(part)} of the labels, the smallest, {smallest!r}, "
        f"{count(rows, 'row')}."
    )
    return _note("unbalanced", where, what, "Accuracy tells little then: look at macro F1.")


def few_labels(where: str, labelled: int, total: int) -> Finding:
    """Few rows have a label."""
    return _note("few_labels", where, f"{labelled:,} of {count(total, 'row')} ({share(labelled, total)}) have a label.")


def leak(found: LeakRecord) -> Finding:
    """What the leak guard found."""
    sample = f" (a sample of {found.total:,})" if found.total > found.looked_at else ""
    examples = f", e.g. {', '.join(found.examples)}" if found.examples else ""
    what = f"{found.count:,} of {found.looked_at:,}{sample} {found.what}{examples}."
    return _warning(f"leak_{found.rule}", found.where, f"Leak: {what}", f"{found.fix}.")


def dropped(where: str, reason: str, rows: int, total: int | None, many: bool) -> Finding:
    """Rows that were left out."""
    of = "" if total is None else f" ({share(rows, total)})"
    finding = _warning if many else _note
    return finding("dropped", where, f"{count(rows, 'row')}{of} left out: {reason}.")


def lost_split(where: str, rows: int) -> Finding:
    """Rows that are in a split for nothing."""
    have = "has" if rows == 1 else "have"
    return _note("lost_split", where, f"{count(rows, 'row')} {have} a split but no label, and so {have} no part in it.")


def nulls(where: str, column: str, rows: int, total: int) -> Finding:
    """A column that is mostly null."""
    return _note(
        "nulls", where, f"Column {column!r} is null in {rows:,} of {count(total, 'row')} ({share(rows, total)})."
    )


def cut(edges: int, total: int) -> Finding:
    """Edges between partitions."""
    what = f"{share(edges, total)} of the edges have their source in another partition."
    return _note("cut", "partitions", what, "METIS (graph.partitions.method: metis) cuts fewer.")


def unequal(what: str, ratio: float) -> Finding:
    """Partitions of different sizes."""
    return _note("unequal", "partitions", f"The largest partition has {number(ratio)} times the mean number of {what}.")
