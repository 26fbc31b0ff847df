"""Arguments that several verbs share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Yaml = Annotated[Path, typer.Argument(metavar="PIPELINE", help="The pipeline's YAML file.", show_default=False)]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[KEY=VALUE]...", help="Values that replace the YAML's, e.g. train.lr=1e-3.", show_default=False
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")]
Fresh = Annotated[bool, typer.Option("--fresh", help="Do everything again, even if it is up to date.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else.")]


def parse_memory(text: str) -> int:
    """Bytes of a size such as 8GB. Raises BadParameter."""
    from pydantic import TypeAdapter, ValidationError

    from graphstorm_like.config.sizes import MemorySize

    try:
        return TypeAdapter(MemorySize).validate_python(text)
    except ValidationError:
        raise typer.BadParameter("must be a size of at least 50MB, such as 512MB, 8GB or 1.5GiB") from None
