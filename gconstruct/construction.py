"""GraphConfig -> graph folder, unless the existing one is up to date."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from gconstruct.feature_files import feature_files, feature_paths
from gconstruct.input_record import InputRecord
from gconstruct.inputs import ID_LIST, InputFile, inputs_of, resolve
from gconstruct.manifest import Construction, current_manifest, whole_manifest, write_manifest
from gconstruct.problems import Problems, TableError, counted
from gconstruct.report.model import REPORT_HTML
from gconstruct.report.trace import Follow, Trace
from graphstorm_like.config.graph import GraphConfig
from graphstorm_like.config.plugins import plugin_of
from graphstorm_like.config.rows import Rows
from graphstorm_like.config.splits import SplitConfig
from graphstorm_like.errors import DataError, GslError
from graphstorm_like.files import check_target, new_folder, recover_target
from graphstorm_like.graph.schema import MANIFEST, SCHEMA_VERSION, GraphManifest
from graphstorm_like.hashing import hash_facts
from graphstorm_like.registry import Registry

ENGINE_VERSION = 2
"""To be raised when the same tables give another graph."""
_WHOLE = "whole"
"""Folder inside the new one for a graph that is yet to be partitioned: after a kill there is one folder to clean up."""


def build_graph(
    config: GraphConfig,
    *,
    progress: Callable[[str], None] | None = None,
    follow: Follow | None = None,
    force: bool = False,
) -> GraphManifest:
    """Make the graph folder `config.path`, unless it is up to date, and return its manifest.

    `config.path` and `config.base` must be absolute (Pipeline.with_absolute_paths). A configuration without tables
    names an existing folder, which is never built. Raises DataError that names file, column and row, and then leaves
    the folder as it was. `progress` gets plain lines, `follow` (step, done, total) while a step of known size
    advances. `force` builds in any case.
    """
    # pyarrow and numpy are imported by the first build, not with this package.
    from gconstruct.assign import check_method
    from gconstruct.build_in_store import build_in_store
    from gconstruct.edge_times import check_times
    from gconstruct.engines import engine_for
    from gconstruct.leaks import check_known_leaks, check_leaks
    from gconstruct.opened import GraphFiles
    from gconstruct.partition import write_partitions

    say = progress or (lambda _: None)
    started, trace = time.perf_counter(), Trace(follow)
    if not config.is_built and config.path is not None and "://" in config.path:
        engine = engine_for(config, say)
        if engine.writes_urls:
            check_times(config, True)
            return build_in_store(config, engine, _mark(config, input_files(config)), trace, say, force)
    path = _target(config)
    if config.is_built:
        existing = whole_manifest(path)
        say(f"{path} is taken as it is")
        return existing
    files = input_files(config)
    try:
        recover_target(path)
        if not force:
            record = InputRecord.read(path)
            current = current_manifest(path, _mark(config, record.settle(files)), say)
            if current is not None:
                record.update(path)
                check_known_leaks(path, config)
                say(f"{path} is up to date")
                return current
        check_target(path, "graph.path", "graph", MANIFEST)
        if config.partitions.count > 1:
            check_method(config.partitions)
        engine = engine_for(config, say)
        check_times(config, engine.writes_partitions and config.partitions.count > 1)
        with trace.step("read headers"):
            engine.check()
        record, mark = InputRecord.of(files), _mark(config, files)
        with new_folder(path) as folder:
            is_whole = config.partitions.count == 1 or engine.writes_partitions
            unpartitioned = folder if is_whole else folder / _WHOLE
            graph = engine.run(unpartitioned, trace)
            del engine  # it holds all ids
            graph = _completed(config, unpartitioned, graph, trace, say)
            if unpartitioned != folder:
                with trace.step("partition") as step:
                    step.rows = sum(edge.count for edge in graph.edges)
                    whole = GraphFiles(unpartitioned, graph.partitions)
                    graph = write_partitions(whole, graph, config.partitions, folder, say, config.memory)
                shutil.rmtree(unpartitioned)
            record.write(folder)
            with trace.step("hash files"):
                manifest = write_manifest(folder, mark, graph)
            with trace.step("look for leaks"):
                check_leaks(folder, config, say)
    except OSError as err:
        raise DataError(
            f"{path}: the graph folder must be writable (got {err.strerror or err}: {err.filename or path}). "
            "Check the disk and its permissions, or set graph.path to another folder"
        ) from err
    size = sum(p.bytes for p in manifest.partitions) / 1e6
    say(
        f"{path}: {counted(manifest.num_nodes, 'node')}, {counted(manifest.num_edges, 'edge')} with reverses, "
        f"{size:,.1f} MB ({time.perf_counter() - started:.1f} s)"
    )
    if config.report:
        _report(path, manifest, trace, say)
    return manifest


def _completed(
    config: GraphConfig, folder: Path, graph: Construction, trace: Trace, say: Callable[[str], None]
) -> Construction:
    """What an engine has written, with everything that needs all rows of all tables."""
    from gconstruct.edge_times import pass_on_times, passes_on_times
    from gconstruct.hard_negatives import number_hard_negatives, unnumbered
    from gconstruct.structure.add import add_structure, missing_structure

    if unnumbered(config, graph):
        with trace.step("hard negatives"):
            graph = number_hard_negatives(config, folder, graph, say)
    if missing_structure(config, graph):
        with trace.step("features from edges"):
            graph = add_structure(config, folder, graph, say)
    if passes_on_times(graph):
        with trace.step("times of edges"):
            graph = pass_on_times(folder, graph, say)
    return graph


def _report(path: Path, manifest: GraphManifest, trace: Trace, say: Callable[[str], None]) -> None:
    """Write the report of a new graph folder. The graph is whole already, and stays so whatever goes wrong here."""
    try:
        from gconstruct.report.write import write_report

        report = write_report(path, manifest, trace)
    except Exception as err:
        say(
            f"warning: {path}: the report could not be made ({type(err).__name__}: {err}). The graph is complete; "
            f"try again with: gsl show graph {path} --report"
        )
        return
    warnings = sum(finding.level == "warning" for finding in report.findings)
    found = f", {counted(warnings, 'warning')}" if warnings else ""
    say(f"{path / REPORT_HTML}: what is in the graph{found} ({report.report_seconds or 0.0:.1f} s)")


def table_problems(config: GraphConfig) -> list[tuple[str, str]]:
    """Errors that headers and footers of the tables show before any row is read: missing and unreadable files, unknown
    columns, columns of a wrong type. Each is (its place in the YAML or '', message)."""
    from gconstruct.engines import engine_for

    if config.is_built:
        return []
    problems = Problems()
    feature_files(config, problems)
    try:
        problems.raise_if_any()
        engine_for(config, lambda _: None).check()
    except TableError as err:
        return list(err.problems)
    except GslError as err:
        return [("graph", str(err))]
    return []


def is_current(config: GraphConfig) -> bool:
    """Whether the graph folder is complete and of this configuration and these inputs; False if inputs are missing."""
    try:
        return current_manifest(_target(config), fingerprint(config)) is not None
    except DataError:
        return False


def fingerprint(config: GraphConfig) -> str:
    """32 hex digits of the configuration (without `path`), each input file's path, size and mtime (or the store's
    etag), and the versions of schema and engine; without tables that of the folder itself. Raises DataError when
    files are missing.

    A file whose mtime has changed since the graph folder was built, but not its contents, counts with its old mtime.
    """
    if config.is_built:
        return whole_manifest(_target(config)).fingerprint
    files = input_files(config)
    if config.path is not None and "://" not in config.path:
        files = InputRecord.read(_target(config)).settle(files)
    return _mark(config, files)


def _mark(config: GraphConfig, files: list[InputFile]) -> str:
    # The known graph counts with its contents.
    neutral = {"path", "memory", "like", "add_to", "on_leak", "report", "spark"}
    if config.partitions.count == 1:
        neutral.add("partitions")
    # Without defaults: folders stay valid when a later version has more options.
    settings = config.model_dump(mode="json", exclude=neutral, exclude_defaults=True)
    content: dict[str, Any] = {
        "config": settings,
        "schema": SCHEMA_VERSION,
        "engine": ENGINE_VERSION,
        "files": [[f.path, f.size, f.stamp] for f in files],
    }
    if config.like is not None or config.add_to is not None:
        from gconstruct.known import known_graph

        known = known_graph(config)
        content["known"] = [known.key, known.fingerprint()]
    if plugins := _plugins(config) | _method_plugins(config):
        content["plugins"] = plugins
    return hash_facts(content)


def _plugins(config: GraphConfig) -> dict[str, str]:
    """Hashes of the plug-ins that features and splits are made by."""
    by_table = [*(node.features for node in config.nodes.values()), *(edge.features for edge in config.edges)]
    features = [feature for by_name in by_table for feature in by_name.values()]
    made_by = [*features, *(split for _, split in _splits(config))]
    own = [made for made in made_by if plugin_of(type(made).__module__) is not None]
    if not own:
        return {}
    from gconstruct.splits import SPLIT_OPERATORS
    from gconstruct.structure.base import STRUCTURES
    from gconstruct.transforms.base import TRANSFORMS

    modules: list[str] = []
    registries: list[Registry[Any]] = [SPLIT_OPERATORS, TRANSFORMS, STRUCTURES]
    for made in own:
        operators = [registry.get(made) for registry in registries]
        modules += [type(made).__module__, *(operator.__module__ for operator in operators if operator is not None)]
    return dict(plugin for module in dict.fromkeys(modules) if (plugin := plugin_of(module)) is not None)


def _method_plugins(config: GraphConfig) -> dict[str, str]:
    """Hash of the plug-in that the partition method is of."""
    if config.partitions.count == 1:
        return {}
    from gconstruct.assign import method_plugins

    return method_plugins(config.partitions)


def _splits(config: GraphConfig) -> Iterator[tuple[str, SplitConfig]]:
    """All splits of labels and edges, with their places in the YAML."""
    tables = {f"graph.nodes.{name}": node.labels for name, node in sorted(config.nodes.items())}
    tables |= {config.edge_key(i): edge.labels for i, edge in enumerate(config.edges)}
    for key, labels in tables.items():
        for name, label in labels.items():
            yield f"{key}.labels.{name}.split", label.split
    for i, edge in enumerate(config.edges):
        if edge.split is not None:
            yield f"{config.edge_key(i)}.split", edge.split


def input_paths(config: GraphConfig) -> Iterator[tuple[str, str]]:
    """Every path of a file or database as the configuration has it, with its key; nothing is looked for."""
    tables: list[tuple[str, Rows]] = [(f"graph.nodes.{name}", node) for name, node in sorted(config.nodes.items())]
    for name, node in sorted(config.nodes.items()):
        tables += [(f"graph.nodes.{name}.join[{i}]", join) for i, join in enumerate(node.join)]
    tables += [(config.edge_key(i), edge) for i, edge in enumerate(config.edges)]
    for key, table in tables:
        yield from ((f"{key}.files", path) for path in table.files)
        if table.sql is not None:
            yield f"{key}.sql.url", table.sql.url
    yield from feature_paths(config)
    for key, split in _splits(config):
        for part, paths in split.files().items():
            yield from ((f"{key}.{part}", path) for path in paths)


def input_files(config: GraphConfig) -> list[InputFile]:
    """Sorted by node type, because the order of types in YAML or JSON does not change the graph. Raises DataError that
    names everything that is missing."""
    problems = Problems()
    files: list[InputFile] = []
    for name, node in sorted(config.nodes.items()):
        files += inputs_of(f"graph.nodes.{name}", node, config.base, problems) if node.has_table else []
        for i, join in enumerate(node.join):
            files += inputs_of(f"graph.nodes.{name}.join[{i}]", join, config.base, problems)
    for i, edge in enumerate(config.edges):
        files += inputs_of(config.edge_key(i), edge, config.base, problems)
    files += feature_files(config, problems)
    for key, split in _splits(config):
        for part, paths in split.files().items():
            files += resolve(key, paths, config.base, ID_LIST, problems, part)
    problems.raise_if_any()
    return files


def _target(config: GraphConfig) -> Path:
    if config.path is None or "://" in config.path:
        raise DataError(
            f"graph.path: must be a local folder (got {config.path!r}). "
            "Construct the graph on a local disk, then copy the folder"
        )
    path = Path(config.path).absolute()
    return path.resolve() if path.is_symlink() else path  # replace what a link points to, not the link
