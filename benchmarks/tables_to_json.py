"""All tables of docs/benchmarks/*.md as docs/benchmarks/tables.json, so that numbers can be read by programs.

    python benchmarks/tables_to_json.py

{page: [{"section": heading, "columns": [...], "rows": [[...], ...]}]}; cells are the text of the page.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "docs" / "benchmarks"
OUTPUT = FOLDER / "tables.json"


def tables_of(text: str) -> list[dict[str, Any]]:
    """The tables of a Markdown page, each with the heading that it stands under."""
    found: list[dict[str, Any]] = []
    section, open_table = "", False
    for line in text.splitlines():
        if line.startswith("#"):
            section = line.lstrip("# ")
        if not line.startswith("|"):
            open_table = False
            continue
        cells = [cell.strip().replace("**", "") for cell in line.strip("|").split("|")]
        if not open_table:
            found.append({"section": section, "columns": cells, "rows": []})
            open_table = True
        elif set(line) - set("|-: "):
            found[-1]["rows"].append(cells)
    return found


def all_tables() -> str:
    """The contents of tables.json."""
    pages = {path.name: tables_of(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.md"))}
    measured = {name: tables for name, tables in pages.items() if tables and name != "README.md"}
    return json.dumps(measured, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    OUTPUT.write_text(all_tables(), encoding="utf-8")
