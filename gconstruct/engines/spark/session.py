"""Spark's context: the one that is there already, or one that is made for a construction and stopped after it.

The only module that imports pyspark. Java is started quietly: what it prints goes to a file, of which messages show
the end when Spark does not start.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from gconstruct.engines.spark.ship import zip_packages
from graphstorm_like.config.plugins import plugin_hashes
from graphstorm_like.config.spark import SparkConfig
from graphstorm_like.errors import ConfigError, LaunchError, MissingExtraError
from graphstorm_like.files import file_hash

if TYPE_CHECKING:
    from pyspark import SparkContext

JAVA_VERSION = 17
_STOP_SECONDS = 30.0
_LOCAL = {
    "spark.driver.memory": "1g",  # rows are in the Python processes; Java only moves them
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.ui.enabled": "false",
    # Short jobs end before Java's second compiler pays: 6 instead of 12 CPU seconds for a small graph.
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
}
"""Options of a session on this machine, unless the configuration has them."""
_PYTHON = "spark.pyspark.python"
_QUIET = {"spark.log.level": "ERROR", "spark.ui.showConsoleProgress": "false"}


@contextmanager
def spark_context(config: SparkConfig) -> Iterator[SparkContext]:
    """A context whose executors can import our packages.

    Raises MissingExtraError without pyspark; ConfigError without Java, or when the master is not one; LaunchError when
    Spark does not start.
    """
    try:
        from pyspark import SparkContext
    except ImportError:
        raise MissingExtraError("graph.engine: spark", "pyspark", "spark") from None
    existing = SparkContext._active_spark_context
    if existing is not None:
        _ship(existing)
        yield existing
        return
    with tempfile.TemporaryDirectory(prefix="gsl-spark-") as name, _own_context(config, Path(name)) as context:
        _ship(context)
        yield context


def _ship(context: SparkContext) -> None:
    """Executors that come later fetch the files too: they are kept as long as the context. A context takes no second
    file of the same name, so a hash of the content is part of it."""
    with tempfile.TemporaryDirectory(prefix="gsl-spark-") as name:
        for file in zip_packages(Path(name), tuple(plugin_hashes())):
            kept = Path(str(context._temp_dir)) / f"{file.stem}-{file_hash(file)[:12]}.zip"
            if kept.name not in (context._python_includes or ()):
                shutil.copyfile(file, kept)
                context.addPyFile(str(kept))


@contextmanager
def _own_context(config: SparkConfig, folder: Path) -> Iterator[SparkContext]:
    from pyspark import SparkContext

    submitted = "PYSPARK_GATEWAY_PORT" in os.environ  # spark-submit has started Java, and knows the master
    if submitted:
        context = SparkContext.getOrCreate(_conf(config, {}))
        try:
            yield context
        finally:
            context.stop()
        return
    _require_java()
    master = config.master or "local[*]"
    defaults = {"spark.master": master, "spark.app.name": "gsl construct", **_QUIET}
    if master.startswith("local"):
        defaults |= _LOCAL
    with open(folder / "java.log", "w+b") as log, _sigint_kept(), _python_of_executors(config, master):
        context = _start(_conf(config, defaults), log, master)
        try:
            yield context
        finally:
            _stop(context)


def _conf(config: SparkConfig, defaults: dict[str, str]) -> Any:
    """SparkConf with the options of the configuration, and these for all that it leaves out."""
    from pyspark import SparkConf

    conf = SparkConf(loadDefaults=not defaults)
    for name, value in {**defaults, **config.options}.items():
        conf.set(name, str(value).lower() if isinstance(value, bool) else str(value))
    if defaults and config.master is not None:
        conf.set("spark.master", config.master)
    return conf


@contextmanager
def _python_of_executors(config: SparkConfig, master: str) -> Iterator[None]:
    """PySpark looks for it in the environment only, and takes python3 of the PATH otherwise."""
    chosen = config.options.get(_PYTHON, sys.executable if master.startswith("local") else None)
    before = os.environ.get("PYSPARK_PYTHON")
    if chosen is None or (before is not None and _PYTHON not in config.options):
        yield
        return
    os.environ["PYSPARK_PYTHON"] = str(chosen)
    try:
        yield
    finally:
        os.environ.pop("PYSPARK_PYTHON")
        if before is not None:
            os.environ["PYSPARK_PYTHON"] = before


def _require_java() -> None:
    home = os.environ.get("JAVA_HOME")
    if shutil.which("java") or (home and (Path(home) / "bin" / "java").is_file()):
        return
    raise ConfigError(
        f"graph.engine: spark needs Java {JAVA_VERSION} or newer (got no 'java' on PATH, and JAVA_HOME "
        f"{home!r}). Install it, e.g. apt-get install default-jre-headless, or conda install openjdk, "
        "or set graph.engine: arrow"
    )


def _start(conf: Any, log: IO[bytes], master: str) -> SparkContext:
    from pyspark import SparkContext, java_gateway

    launch: Any = java_gateway.launch_gateway
    try:
        gateway = launch(conf, {"stdout": log, "stderr": log})
    except Exception as err:
        raise LaunchError(
            f"graph.engine: Spark's Java process must start (got {_line(err)}). It needs Java {JAVA_VERSION} or newer; "
            f"what it printed:\n{_tail(log)}"
        ) from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # about pandas, which we do not use with Spark
            return SparkContext(gateway=gateway, conf=conf)
    except Exception as err:
        reason = _line(err)
        _end_java(gateway)
        raise ConfigError(
            f"graph.spark: master and options must be those that Spark can start with (got master {master!r}: "
            f"{reason}). What Java printed:\n{_tail(log)}"
        ) from None


def _stop(context: SparkContext) -> None:
    """Stop Spark, and its Java process: what follows in this process (training) needs the memory."""
    from pyspark import SparkContext

    gateway = SparkContext._gateway
    with suppress(Exception):  # Java may have died: whoever waits for it has the error already
        context.stop()
    _end_java(gateway)


def _end_java(gateway: Any) -> None:
    from pyspark import SparkContext

    with suppress(Exception):
        gateway.shutdown()
    process = getattr(gateway, "proc", None)
    if process is not None:
        with suppress(OSError):
            process.stdin.close()  # Java ends when its input does
        try:
            process.wait(_STOP_SECONDS)
        except Exception:
            process.kill()
            process.wait()
    SparkContext._gateway = SparkContext._jvm = None  # the next context starts another Java


@contextmanager
def _sigint_kept() -> Iterator[None]:
    """Spark replaces the handler of Ctrl-C for as long as the process lives; ours comes back at the end."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)


def _line(err: BaseException) -> str:
    """The first line of an error of Spark; of an error of Java the part after its class."""
    text = str(getattr(err, "java_exception", None) or err).strip() or type(err).__name__
    return text.splitlines()[0]


def _tail(log: IO[bytes]) -> str:
    log.flush()
    log.seek(0)
    return log.read().decode(errors="replace").strip()[-2000:]
