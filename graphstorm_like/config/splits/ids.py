"""`by: ids`"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field

from graphstorm_like.config.base import Accepts, Files, names_of
from graphstorm_like.config.splits.base import PARTS, SplitConfig

IdFiles = Annotated[Files, Field(min_length=1)]


class IdsSplit(SplitConfig):
    """Files name the ids of each split: files of any format that tables may have, lists in JSON (.json), or text with
    one id a line.

    Edges take two ids: two columns, pairs in JSON, or two ids in a line with a tab between them. A row that no file
    names is in no split.
    """

    is_written: ClassVar[bool] = True

    by: Literal["ids"] = "ids"
    train: Annotated[IdFiles | None, Accepts("string")] = None
    """Paths, globs, folders or URLs of files with ids for training; left out: all rows that the others do not name."""
    valid: IdFiles
    """Files with ids for validation."""
    test: IdFiles
    """Files with ids for the test."""
    columns: Annotated[list[str], BeforeValidator(names_of), Accepts("string")] = []
    """Where files have columns: that with the id (of edges: the source's, then the target's). Default: the first one,
    of edges the first two."""
    on_unknown_id: Literal["error", "skip"] = "error"
    """What an id that the table lacks does: stop with an error, or nothing. Edges of several relations
    (`relation_column`) need skip."""

    @property
    def needs_named_rows(self) -> bool:
        """See SplitConfig."""
        return self.on_unknown_id == "error"

    def files(self) -> dict[str, list[str]]:
        """See SplitConfig."""
        return {part: paths for part in PARTS if (paths := getattr(self, part)) is not None}
