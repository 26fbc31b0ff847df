"""Hive-partitioned data sets: folders key=value around the files, whose names are columns of all rows in them.

A column that the file has itself comes from the file. Values are text like those of CSV files: integers where all of
them in a table are.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

_FOLDER = re.compile(r"^([^=/]+)=([^/]*)$")
_NULL = "__HIVE_DEFAULT_PARTITION__"


def is_hive_folder(name: str) -> bool:
    """Whether a folder's name is key=value."""
    return _FOLDER.match(name) is not None and not name.startswith((".", "_"))


def hive_keys(path: str) -> dict[str, str | None]:
    """Keys and values of the folders of a path; None: the value is null."""
    keys: dict[str, str | None] = {}
    for folder in path.split("/")[:-1]:
        matched = _FOLDER.match(folder)
        if matched is not None:
            value = unquote(matched[2])
            keys[unquote(matched[1])] = None if value in (_NULL, "") else value
    return keys
