"""The attributes of a table that is in memory as a whole."""

from __future__ import annotations

from gconstruct.attributes import Attributes
from gconstruct.encoding import TableEncoder, TableState
from gconstruct.problems import Problems
from gconstruct.splits import HashedIds
from gconstruct.tables.table import Table


def whole_table(
    encoder: TableEncoder, table: Table, state: TableState | None, hashed_ids: HashedIds, problems: Problems
) -> Attributes | None:
    """Fit, unless there is a state already, and apply; None: `problems` says what is wrong."""
    before = len(problems)
    if state is None:
        statistics = encoder.fit(table, problems)
        state = encoder.state(statistics, table, problems) if len(problems) == before else None
    encoded = None if state is None else encoder.apply(table, state, hashed_ids, problems)
    if state is None or encoded is None:
        return None
    return encoder.describe(state, encoded)
