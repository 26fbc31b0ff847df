"""gsl cache list|prune: tokens, text vectors and trained phases that pipelines keep for each other."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from graphstorm_like.cli.arguments import Json, print_json

Where = Annotated[
    str, typer.Argument(metavar="PIPELINE|FOLDER", help="A pipeline's YAML, or a cache folder.", show_default=False)
]


def add_to(app: typer.Typer) -> None:
    """Register the verbs."""
    cache = typer.Typer(help="See and prune what pipelines keep: tokens, vectors, phases.", no_args_is_help=True)
    app.add_typer(cache, name="cache")

    @cache.command("list")
    def list_entries(where: Where, as_json: Json = False) -> None:
        """Every entry with its size, its last use, and the runs that have used it."""
        from graphstorm_like.launch.caches import entries, in_use

        folder = _folder(where)
        found = entries(folder)
        total, busy = sum(entry.bytes for entry in found), in_use(folder)
        if as_json:
            listed = [entry.as_json() for entry in found]
            print_json({"folder": str(folder), "bytes": total, "in_use": busy, "entries": listed})
            return
        for line in _table(found):
            typer.echo(line)
        state = "; a run works with it now" if busy else ""
        typer.echo(f"{folder}: {len(found)} entries, {total / 1e6:,.1f} MB{state}")

    @cache.command("prune")
    def prune_entries(
        where: Where,
        kind: Annotated[
            list[str] | None, typer.Option(help="tokens, texts, vectors, phases or notes; repeatable.")
        ] = None,
        older_than: Annotated[
            str | None, typer.Option(metavar="AGE", help="Not used for so long: 12h, 30d, 8w.", show_default=False)
        ] = None,
        unused: Annotated[
            bool, typer.Option("--unused", help="Used by no run whose output folder is still there.")
        ] = False,
        unused_by: Annotated[
            list[str] | None,
            typer.Option(metavar="RUN", help="Used by none of these (output folders or YAMLs); repeatable."),
        ] = None,
        dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be deleted.")] = False,
        as_json: Json = False,
    ) -> None:
        """Delete the entries to which all options apply; nothing while a run works with the cache."""
        from graphstorm_like.launch.caches import prune

        folder, wanted = _folder(where), _wanted(kind, older_than, unused, unused_by)
        result = prune(folder, wanted, dry_run)
        if as_json:
            deleted = [entry.as_json() for entry in result.deleted]
            answer: dict[str, Any] = {"folder": str(folder), "dry_run": dry_run, "deleted": deleted}
            print_json({**answer, "bytes": result.bytes, "kept": result.kept})
            return
        for line in _table(result.deleted):
            typer.echo(line)
        for name, why in result.kept.items():
            typer.echo(f"kept {name}: {why}")
        done = "would be deleted" if dry_run else "deleted"
        typer.echo(f"{folder}: {len(result.deleted)} entries, {result.bytes / 1e6:,.1f} MB {done}")


def _folder(where: str) -> Path:
    from graphstorm_like.config import load_pipeline

    return Path(load_pipeline(where).cache) if where.endswith((".yaml", ".yml")) else Path(where).absolute()


def _wanted(kinds: list[str] | None, older_than: str | None, unused: bool, unused_by: list[str] | None) -> Any:
    from graphstorm_like.config import load_pipeline
    from graphstorm_like.errors import ConfigError, unknown
    from graphstorm_like.launch.caches import KINDS, Wanted

    wrong = [kind for kind in kinds or () if kind not in KINDS]
    if wrong:
        raise ConfigError(unknown("--kind", "kind of entry", wrong[0], KINDS))
    if not (kinds or older_than or unused or unused_by):
        raise ConfigError(
            "gsl cache prune: must be told what may go (got no option). Give --kind, --older-than, --unused or "
            "--unused-by"
        )
    outputs = None
    if unused_by:
        is_yaml = [run.endswith((".yaml", ".yml")) for run in unused_by]
        runs = zip(unused_by, is_yaml, strict=True)
        outputs = [load_pipeline(run).output if yaml else str(Path(run).absolute()) for run, yaml in runs]
    return Wanted(kinds or (), None if older_than is None else _seconds(older_than), unused, outputs)


def _seconds(age: str) -> float:
    from graphstorm_like.errors import ConfigError, must_be

    units = {"h": 3600, "d": 86_400, "w": 604_800}
    number, unit = age[:-1], age[-1:]
    if unit not in units or not number.replace(".", "", 1).isdecimal():
        raise ConfigError(must_be("--older-than", "age", "a number with h, d or w: 12h, 30d, 8w", age))
    return float(number) * units[unit]


def _table(found: Any) -> list[str]:
    from graphstorm_like.launch.show.table import table

    rows = []
    for entry in found:
        used = time.strftime("%Y-%m-%d %H:%M", time.localtime(entry.used_at))
        rows.append([entry.path.name, entry.kind, f"{entry.bytes / 1e6:,.1f}", used, ", ".join(entry.used_by) or "-"])
    return list(table(["entry", "kind", "MB", "last used", "used by"], rows)) if rows else []
