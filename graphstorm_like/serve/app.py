"""The HTTP face: FastAPI over a pool of workers.

POST /predict /embed /neighbors /links   questions, see `Body`
GET  /health /ping /metrics /model       for probes, Prometheus, and clients
POST /invocations                        SageMaker's contract, see `serve.invocations`
GET  /                                   a page to try it; /docs: OpenAPI
"""

# Annotations are not postponed here: FastAPI reads them, and its classes are imported within functions.
import asyncio
import resource
import signal
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

from graphstorm_like import __version__
from graphstorm_like.errors import MissingExtraError
from graphstorm_like.serve.body import KINDS, MAX_BYTES, MAX_ROWS, Body, parsed, text_of, to_json
from graphstorm_like.serve.invocations import Ask, add_invocations
from graphstorm_like.serve.metrics import Metrics
from graphstorm_like.serve.pool import AnswerError, BusyError, Limits, Observed, Pool, TooLateError
from graphstorm_like.serve.worker import REFUSED, Settings

PAGE = Path(__file__).parent / "page.html"
PROBES = {"/health", "/ping", "/model", "/metrics", "/execution-parameters"}
PATHS = {"/", "/invocations", *PROBES, *(f"/{kind}" for kind in KINDS)}
STOP_SECONDS = 30
"""For questions that are being answered when the server is told to stop."""


def make_app(settings: Settings, limits: Limits) -> tuple[Any, Pool]:
    """The application, and the pool behind it, which the caller starts and stops. Raises MissingExtraError."""
    try:
        from fastapi import FastAPI
    except ImportError:
        raise MissingExtraError("gsl serve", "fastapi", "serve") from None
    metrics = Metrics(PATHS)
    pool = Pool(settings, limits, Observed(metrics.batch, metrics.death))
    metrics.watch(pool)

    app = FastAPI(title="graphstorm-like", version=__version__)
    app.state.metrics = metrics
    _observe(app, metrics)
    ask = _asker(pool)
    shape = {"requestBody": {"required": True, "content": {"application/json": {"schema": Body.model_json_schema()}}}}
    for kind, about in (
        ("predict", "Predictions of known nodes, of new ones, of pairs, or of new edges, as the model's task is."),
        ("embed", "Embeddings."),
        ("neighbors", "Known nodes with the most similar embeddings, and the neighbours in the graph."),
        ("links", "The best new targets of sources, for models of link prediction."),
    ):
        app.post(f"/{kind}", summary=about, openapi_extra=shape)(_question(kind, ask))
    _add_probes(app, pool, metrics)
    add_invocations(app, ask, pool)
    return app, pool


def _observe(app: Any, metrics: Metrics) -> None:
    """Count requests, and refuse bodies that are too long."""
    from fastapi import HTTPException, Request

    async def refused(_: Request, err: Any) -> Any:
        return _json({"error": err.detail}, err.status_code, err.headers)

    app.add_middleware(_Observe, metrics=metrics)
    app.exception_handler(HTTPException)(refused)


class _Observe:
    """Counts requests, and the bytes of their bodies as they come, whatever the headers say: no more than MAX_BYTES are
    kept. ASGI itself, for starlette's BaseHTTPMiddleware copies bodies."""

    def __init__(self, app: Any, metrics: Metrics) -> None:
        self.app, self.metrics = app, metrics

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        from fastapi import HTTPException

        started, status, received = time.monotonic(), 500, 0
        length = dict(scope["headers"]).get(b"content-length", b"0").decode("latin-1")

        async def counted() -> Any:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > MAX_BYTES:
                raise HTTPException(413, _too_long(f"more than {MAX_BYTES:,}"), {"connection": "close"})
            return message

        async def noted(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            if length.isdecimal() and int(length[:20]) > MAX_BYTES:
                refusal = _json({"error": _too_long(length[:20])}, 413, {"connection": "close"})
                await refusal(scope, receive, noted)
            else:
                await self.app(scope, counted, noted)
        finally:
            self.metrics.request(scope["path"], status, time.monotonic() - started)


def _too_long(got: str) -> str:
    return f"body: must be at most {MAX_BYTES:,} bytes (got {got}). Send less at once"


def _json(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> Any:
    from fastapi import Response

    return Response(to_json(content), status, headers, media_type="application/json")


def _asker(pool: Pool) -> Ask:
    """Asks the pool, and makes what is wrong a status."""

    async def ask(kind: str, body: Body) -> Any:
        if body.rows() > MAX_ROWS:
            message = f"nodes, edges: must bring at most {MAX_ROWS:,} rows (got {body.rows():,}). Send less at once"
            return _json({"error": message}, 413)
        try:
            return _json(await pool.ask(body.question(kind)))
        except BusyError as err:
            return _json({"error": str(err)}, 503, headers={"Retry-After": "1"})
        except TooLateError as err:
            return _json({"error": str(err)}, 504)
        except AnswerError as err:
            return _json({"error": str(err)}, 422 if err.kind == REFUSED else 500)

    return ask


def _question(kind: str, ask: Ask) -> Callable[..., Awaitable[Any]]:
    from fastapi import Request

    async def endpoint(request: Request) -> Any:
        return await ask(kind, parsed(await text_of(request), Body))

    endpoint.__name__ = kind
    return endpoint


def _add_probes(app: Any, pool: Pool, metrics: Metrics) -> None:
    from fastapi import Response
    from fastapi.responses import FileResponse, JSONResponse

    async def health() -> Any:
        return JSONResponse({"workers": pool.ready, "queued": pool.queued}, 200 if pool.ready else 503)

    async def ping() -> Any:
        return Response(status_code=200 if pool.ready else 503)

    async def model() -> Any:
        return pool.facts

    async def all_metrics() -> Any:
        content, content_type = metrics.text()
        return Response(content, media_type=content_type)

    async def page() -> Any:
        return FileResponse(PAGE, media_type="text/html")

    app.get("/health", summary="200 while a worker can answer.")(health)
    app.get("/ping", summary="SageMaker's health check.")(ping)
    app.get("/model", summary="What the model is about.")(model)
    app.get("/metrics", summary="For Prometheus.")(all_metrics)
    app.get("/", include_in_schema=False)(page)


def run(settings: Settings, limits: Limits, host: str, port: int, say: Callable[[str], None]) -> None:
    """Serve until Ctrl-C or SIGTERM. Raises LaunchError and MissingExtraError."""
    try:
        import uvicorn
    except ImportError:
        raise MissingExtraError("gsl serve", "uvicorn", "serve") from None
    from graphstorm_like.serve.connections import BACKLOG, Guard, GuardedProtocol, connections_of

    app, pool = make_app(settings, limits)
    open_files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    guard = Guard(app.state.metrics.cut, max_connections=connections_of(open_files))
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        http=partial(GuardedProtocol, guard=guard),  # type: ignore[arg-type]
        ws="none",
        backlog=BACKLOG,
        log_level="error",  # a warning for each malformed request would let strangers fill the disk
        access_log=False,
        timeout_graceful_shutdown=STOP_SECONDS,
    )

    async def serve() -> None:
        loop, loading = asyncio.get_running_loop(), asyncio.ensure_future(pool.start())
        loop.add_signal_handler(signal.SIGTERM, loading.cancel)
        try:
            await loading
            loop.remove_signal_handler(signal.SIGTERM)
            # uvicorn ends at SIGTERM, and then sends it again to whom it found in charge.
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            say("ready")
            await uvicorn.Server(config).serve()
        except asyncio.CancelledError:
            say("stopped while loading")
        finally:
            await pool.stop()

    asyncio.run(serve())
