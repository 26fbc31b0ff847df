"""Which runs a sweep has: all combinations of the values, or some drawn at random.

    train.lr=1e-3,3e-3             values
    train.fanouts=[5,5],[10,10]    values in brackets, braces or quotes keep their commas
    train.lr=1e-4..1e-2            a range, for a random sweep: by ratio where the ends differ tenfold or more

A run is named by its settings, so that a sweep with more values finds the runs that it has already.
"""

from __future__ import annotations

import itertools
import math
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

from graphstorm_like.config.yaml_source import parse_value
from graphstorm_like.errors import ConfigError

MAX_RUNS, _MAX_NAME = 1000, 80
_OPEN, _CLOSE = "[{(", "]})"
_RANGE = re.compile(r"([-+.\w]+)\.\.([-+.\w]+)")


@dataclass(frozen=True, slots=True)
class Axis:
    """A key of the configuration, and the values that it takes: those listed, or a range."""

    key: str
    values: tuple[str, ...] = ()
    low: float | int = 0
    high: float | int = 0

    @property
    def is_range(self) -> bool:
        """Whether values are drawn between `low` and `high`."""
        return not self.values

    def draw(self, rng: random.Random) -> str:
        """A value at random."""
        if not self.is_range:
            return rng.choice(self.values)
        if isinstance(self.low, int) and isinstance(self.high, int):
            if self.low > 0 and self.high >= 10 * self.low:
                return str(round(math.exp(rng.uniform(math.log(self.low), math.log(self.high)))))
            return str(rng.randint(self.low, self.high))
        if self.low > 0 and self.high >= 10 * self.low:
            return f"{math.exp(rng.uniform(math.log(self.low), math.log(self.high))):.3g}"
        return f"{rng.uniform(self.low, self.high):.4g}"


Settings = tuple[tuple[str, str], ...]
"""(key, value) of each axis"""


def parse_axes(texts: Sequence[str]) -> list[Axis]:
    """Axes as they are written on the command line; ConfigError names the first that is wrong."""
    axes: list[Axis] = []
    for text in texts:
        key, equals, values = text.partition("=")
        if not equals or not key.strip():
            raise ConfigError(f"sweep '{text}': must be written key=value,value, e.g. train.lr=1e-3,3e-3")
        if key in (axis.key for axis in axes):
            raise ConfigError(f"sweep '{text}': must name each key once (got {key} twice). Join its values by commas")
        axes.append(_axis(key, values, text))
    return axes


def _axis(key: str, values: str, text: str) -> Axis:
    if (ends := _RANGE.fullmatch(values)) is not None:
        low, high = (_read(end, text) for end in ends.groups())
        if isinstance(low, int | float) and isinstance(high, int | float) and low < high:
            return Axis(key, (), low, high)
        raise ConfigError(f"sweep '{text}': a range must go from a number up to a larger one, e.g. 1e-4..1e-2")
    listed = tuple(dict.fromkeys(split_values(values)))
    for value in listed:
        _read(value, text)
    return Axis(key, listed)


def _read(value: str, text: str) -> object:
    try:
        return parse_value(value)
    except ValueError as err:
        raise ConfigError(f"sweep '{text}': the value '{value}' must be valid YAML ({err})") from None


def split_values(text: str) -> list[str]:
    """'1,[2,3],"a,b"' -> ['1', '[2,3]', '"a,b"']"""
    values, depth, quote = [""], 0, ""
    for character in text:
        if quote:
            quote = "" if character == quote else quote
        elif character in "\"'":
            quote = character
        elif character in _OPEN or character in _CLOSE:
            depth += 1 if character in _OPEN else -1
        elif character == "," and depth == 0:
            values.append("")
            continue
        values[-1] += character
    return [value.strip() for value in values]


def grid(axes: Sequence[Axis]) -> list[Settings]:
    """Every combination, the last axis fastest. ConfigError for ranges, and for more than MAX_RUNS."""
    for axis in axes:
        if axis.is_range:
            raise ConfigError(
                f"sweep '{axis.key}={axis.low}..{axis.high}': a range must be drawn from. Give --random N, or list "
                "values"
            )
    count = math.prod(len(axis.values) for axis in axes)
    if count > MAX_RUNS:
        raise ConfigError(f"sweep: must have at most {MAX_RUNS:,} runs (got {count:,}). Draw some with --random N")
    keys = [axis.key for axis in axes]
    return [tuple(zip(keys, values, strict=True)) for values in itertools.product(*(axis.values for axis in axes))]


def draw(axes: Sequence[Axis], count: int, seed: int) -> list[Settings]:
    """`count` different combinations at random, fewer where there are not so many. The first n of a larger count are
    those of n."""
    if not 1 <= count <= MAX_RUNS:
        raise ConfigError(f"--random: must be 1 to {MAX_RUNS:,} (got {count})")
    rng, drawn = random.Random(seed), dict[Settings, None]()
    for _ in range(100 * count):
        drawn[tuple((axis.key, axis.draw(rng)) for axis in axes)] = None
        if len(drawn) == count:
            break
    return list(drawn)


def names(axes: Sequence[Axis], runs: Sequence[Settings]) -> list[str]:
    """A folder name for each run, from its settings alone: 'lr=1e-3,layers=2'."""
    varied = [axis.key for axis in axes if axis.is_range or len(axis.values) > 1]
    short = _short_keys(varied or [axis.key for axis in axes])
    return [_name({short[key]: value for key, value in settings if key in short}, settings) for settings in runs]


def _short_keys(keys: Sequence[str]) -> dict[str, str]:
    """The last parts of keys, as many as tell them apart."""
    parts = max((key.count(".") + 1 for key in keys), default=1)
    for count in range(1, parts + 1):
        short = {key: ".".join(key.split(".")[-count:]) for key in keys}
        if len(set(short.values())) == len(keys):
            return short
    return {key: key for key in keys}


def _name(shown: dict[str, str], settings: Settings) -> str:
    plain = ",".join(f"{key}={value}" for key, value in shown.items())
    safe = re.sub(r"[^\w.+=,-]+", "-", plain).strip("-.")
    if safe == plain and 0 < len(safe) <= _MAX_NAME:
        return safe
    code = blake2b(repr(settings).encode(), digest_size=4).hexdigest()
    return f"{safe[:_MAX_NAME].rstrip('-.,')}-{code}"
