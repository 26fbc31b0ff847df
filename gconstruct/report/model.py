"""report.json: the numbers of a graph's report, which report.html shows. Plain JSON; null where there is no number.

Shares are from 0 to 1, times in seconds, sizes in bytes. `rows_seen` is how many rows the statistics of a feature or
the lengths of texts come from: all of them, or in large tables a fixed sample of evenly spaced runs of rows.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

REPORT_VERSION = 1
REPORT_JSON, REPORT_HTML = "report.json", "report.html"


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Histogram(_Model):
    """Counts in bins of equal width between two bounds; the first and the last bin also hold what lies beyond them."""

    low: float
    high: float
    counts: list[int]
    below: int = 0
    """Values under `low`, counted in the first bin"""
    above: int = 0
    """Values over `high`, counted in the last bin"""


class Numbers(_Model):
    """Statistics of the finite numbers of a column; null when there are none."""

    min: float | None = None
    max: float | None = None
    mean: float | None = None
    std: float | None = None
    zeros: float | None = None
    """Share of numbers that are 0"""
    not_finite: int = 0
    """NaN and infinite numbers"""


LISTED_DIMENSIONS, LISTED_NULLS = 64, 50
"""Dimensions of a wide feature, and columns of a table with nulls, that are listed by themselves"""


class Spread(_Model):
    """How a statistic is spread over all dimensions of a wide feature; null where no dimension has it."""

    min: float | None = None
    p25: float | None = None
    median: float | None = None
    p75: float | None = None
    max: float | None = None


class Dimensions(_Model):
    """The same statistics for the numbers of a feature of several numbers a row: lists of its width, or in a wide
    feature of the dimensions `at`."""

    at: list[int] | None = None
    """Positions of the dimensions that are listed: the first ones, of categories the most frequent; null: all"""
    spread: dict[str, Spread] = {}
    """Of wide features: by statistic, over all dimensions"""
    min: list[float | None]
    max: list[float | None]
    mean: list[float | None]
    std: list[float | None]
    zeros: list[float | None]


class FeatureProfile(_Model):
    """A feature."""

    width: int
    dtype: str
    encode: str | None = None
    """How it was made; null: not told, e.g. for imported graphs"""
    rows_seen: int
    numbers: Numbers
    """Over all of its dimensions"""
    constant: int = 0
    """Dimensions that have one value only"""
    median: float | None = None
    """Of the rows of the histogram"""
    histogram: Histogram | None = None
    """All dimensions together"""
    histogram_rows: int = 0
    dimensions: Dimensions | None = None
    """For features of 2 or more numbers a row"""
    fitted: dict[str, float] = {}
    """Of features of one number a row: mean, std, min and max of the column before scaling, where they are kept"""
    categories: list[str] | None = None
    """What each dimension of `dimensions` stands for, when construction knows"""


class Lengths(_Model):
    """Lengths of texts that are not null."""

    min: int
    median: int
    mean: float
    p90: int
    """90 % are at most as long"""
    max: int


class TextProfile(_Model):
    """A text column. Nulls, empty ones and bytes are of all rows, the rest of a sample."""

    rows: int
    nulls: int
    empty: int
    """Texts without a character, nulls not counted"""
    bytes: int
    """UTF-8 bytes of all texts"""
    longest_bytes: int
    rows_seen: int
    characters: Lengths | None = None
    words: Lengths | None = None
    """Words are separated by white space"""
    present: int = 0
    """Texts in the sample that are not null"""
    distinct: int = 0
    """How many of these are different"""
    histogram: Histogram | None = None
    """Of lengths in characters"""


class ImageProfile(_Model):
    """An image column."""

    height: int
    width: int
    bytes: int
    """Of all images"""


class LabelProfile(_Model):
    """A label."""

    kind: str
    rows: int
    labelled: int
    """Rows that have a label"""
    splits: dict[str, int]
    """Rows with a label, by split: train, valid, test, and none"""
    classes: list[str] = []
    class_counts: dict[str, list[int]] = {}
    """By split: rows of each class"""
    numbers: dict[str, Numbers] = {}
    """By split, for labels that are numbers"""
    histogram: Histogram | None = None


class DegreeBin(_Model):
    """Nodes with `low` to `high` edges, both included."""

    low: int
    high: int
    nodes: int


class Hub(_Model):
    """A node with many edges."""

    id: str
    """As the user's tables have it"""
    degree: int


class Degrees(_Model):
    """How many edges of one type the nodes at one end have."""

    node_type: str
    nodes: int
    without: int
    """Nodes without an edge of this type"""
    mean: float
    median: int
    p99: int
    """99 % of the nodes have at most as many"""
    max: int
    bins: list[DegreeBin]
    """0, 1, 2 to 3, 4 to 7, 8 to 15 ... edges"""
    hubs: list[Hub]
    """The nodes with the most edges"""


class NodeProfile(_Model):
    """A node type."""

    count: int
    id_type: str
    isolated: int
    """Nodes without an edge of any type"""
    from_edges: int | None = None
    """Nodes that only edges name: they have no features. null: not known"""
    features: dict[str, FeatureProfile] = {}
    text: dict[str, TextProfile] = {}
    image: dict[str, ImageProfile] = {}
    labels: dict[str, LabelProfile] = {}


class EdgeProfile(_Model):
    """An edge type that is not the reverse of another."""

    source: str
    relation: str
    target: str
    count: int
    reverse: str | None = None
    """The reverse edge type, which holds the same edges"""
    out_degrees: Degrees
    """Of the source nodes"""
    in_degrees: Degrees
    """Of the target nodes"""
    repeated: int
    """Edges with both ends of an earlier edge"""
    loops: int
    """Edges from a node to itself"""
    splits: dict[str, int] | None = None
    """Edges by split, for link prediction"""
    features: dict[str, FeatureProfile] = {}
    text: dict[str, TextProfile] = {}
    labels: dict[str, LabelProfile] = {}


class PartitionProfile(_Model):
    """One partition of several."""

    nodes: dict[str, int]
    edges: dict[str, int]
    """By edge type, reverses included"""
    local: dict[str, int]
    """Edges that have their source here, too; the others are cut"""
    bytes: int


class StepRecord(_Model):
    """A step of construction."""

    name: str
    depth: int
    """Greater for steps within another, whose seconds count in that one, too"""
    rows: int | None
    seconds: float
    cpu_seconds: float
    peak_bytes: int
    """The most memory of the process meanwhile, pages of mapped files included"""


class TableRecord(_Model):
    """A table that was read."""

    files: int
    rows: int
    bytes: int
    nulls: dict[str, int]
    """By column: all, or those with most nulls"""
    columns: int | None = None
    """How many columns were read, where `nulls` does not have them all"""
    without_nulls: int | None = None
    """How many of these have no nulls"""


class DroppedExample(_Model):
    """A row that was left out."""

    file: str
    row: int
    """Within its file, from 1"""
    value: str


class DroppedRecord(_Model):
    """Rows that were left out for one reason."""

    where: str
    """'nodes.item' or 'edges.user:buys:item'"""
    reason: str
    count: int
    examples: list[DroppedExample]


class Construction(_Model):
    """What construction met on its way."""

    seconds: float
    peak_bytes: int
    steps: list[StepRecord]
    tables: dict[str, TableRecord]
    """By 'nodes.item' or 'edges.user:buys:item'"""
    created: dict[str, int] = {}
    """By 'nodes.item': nodes that only edges name"""
    dropped: list[DroppedRecord]


class Finding(_Model):
    """Something to look at."""

    level: Literal["warning", "note"]
    kind: str
    """A word for the rule that it is of, e.g. 'isolated'"""
    where: str
    """'item', 'item.features.price', 'user:buys:item' ..."""
    what: str
    """A sentence with the numbers"""
    advice: str = ""
    """What may be done about it"""


class LeakRecord(_Model):
    """What the leak guard found: validation and test rows that are given away."""

    rule: str
    where: str
    count: int
    looked_at: int
    total: int
    """Of all such rows; more than `looked_at`: a sample was taken"""
    what: str
    """Continues 'count of looked_at'"""
    fix: str
    examples: list[str] = []


class GraphReport(_Model):
    """The whole of report.json."""

    report_version: int = REPORT_VERSION
    fingerprint: str
    """Of the graph that it describes, as in graph.json"""
    bytes: int
    """Of the graph's files"""
    findings: list[Finding] = []
    """Warnings first"""
    leaks: list[LeakRecord] | None = None
    """null: nobody looked for them"""
    nodes: dict[str, NodeProfile]
    edges: dict[str, EdgeProfile]
    """By 'source:relation:target', without reverses"""
    partitions: list[PartitionProfile] = []
    """Empty when there is one"""
    dropped: dict[str, int] = {}
    """Rows left out by reason, as in graph.json"""
    construction: Construction | None = None
    """null: the record was not kept, e.g. for a graph that was partitioned or imported"""
    report_seconds: float | None = None
    """What this report took; null when it was made without construction"""
