"""The gateway's application: create_app(), its lifespan, middleware and routers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

from fastapi import FastAPI
from limits import parse as parse_rate_limit
from starlette.middleware.errors import ServerErrorMiddleware

from gateway import metrics, problem_handlers, problems
from gateway.bulk.runner import BulkRunner
from gateway.concurrency_limit import ConcurrencyLimit
from gateway.event_feed.feed import EventFeed
from gateway.feed import Feed
from gateway.gauge_updater import GaugeUpdater
from gateway.ingest.open_consumer import open_consumer
from gateway.ingest.preparation import Preparation
from gateway.lifespan import call_on_stop_signal, run_in_background
from gateway.middleware.access_log import AccessLog
from gateway.middleware.allowed_hosts import ANY, AllowedHosts
from gateway.middleware.authorization import Authorization
from gateway.middleware.body_limit import BodyLimit
from gateway.middleware.body_timeout import BodyTimeout
from gateway.middleware.cors import Cors
from gateway.middleware.cross_site import CrossSite
from gateway.middleware.options import Options
from gateway.middleware.rate_limit import RateLimit, create_limiter
from gateway.middleware.resource_policy import ResourcePolicy
from gateway.middleware.root_path import RootPath
from gateway.middleware.trusted_proxies import TrustedProxies, read_uvicorn_variable
from gateway.middleware.tus import PATH as TUS_PATH
from gateway.middleware.tus import Tus
from gateway.openapi import document
from gateway.preset_loader import PresetLoader, keep_presets, stop_on_preset_mistakes
from gateway.resumable.protocol import describe_server
from gateway.routes import (
    bulk,
    capabilities,
    deliveries,
    docs,
    event_feed,
    events,
    files,
    health,
    images,
    ingest,
    jobs,
    js_client,
    operations,
    presets,
    reprocess,
    results,
    schemas,
    tokens,
    webhooks,
)
from gateway.sizes import FORM_OVERHEAD_BYTES
from gateway.submission.backpressure import Backlog
from gateway.submission.blob_room import BlobRoom
from gateway.submission.lanes import LaneChooser
from gateway.unreadable import log_unreadable
from gateway.webhooks.announcer import Announcer
from gateway.webhooks.fixed import store_fixed_endpoints
from pipeline import traces
from pipeline.broker.unreadable_messages import call_on_unreadable_message
from pipeline.celery import configure
from pipeline.http_settings import HttpSettings
from pipeline.logs import configure_logs
from pipeline.operations import check_job
from pipeline.presets.registry import Presets
from pipeline.queues.open_queues import open_queues
from pipeline.queues.queues import Queues
from pipeline.settings import Settings
from pipeline.sweeper import Sweeper
from pipeline.tidying.tidier import Tidier
from pipeline.version import VERSION
from storage.stores import Stores, open_stores


def create_app(settings: Settings, stores: Stores | None = None, queues: Queues | None = None) -> FastAPI:
    """Build the gateway. It opens and closes stores and queues with its lifespan, except those passed in."""
    gateway_metrics = metrics.GatewayMetrics()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        configure(settings, publisher=True)
        async with AsyncExitStack() as resources:
            resources.push_async_callback(asyncio.to_thread, traces.stop)
            resources.enter_context(call_on_unreadable_message(gateway_metrics.unreadable_messages.count))
            app.state.settings = settings
            app.state.backlog = Backlog()
            app.state.stores = stores or await resources.enter_async_context(_open_stores(settings))
            app.state.queues = queues or await resources.enter_async_context(open_queues(settings))
            sweeper_metrics = gateway_metrics.sweeper, gateway_metrics.dispatches
            announcer = app.state.announcer = Announcer(
                app.state.stores, app.state.queues, settings, gateway_metrics.events
            )
            sweeper = Sweeper(app.state.stores, app.state.queues, settings, *sweeper_metrics, on_end=announcer.wake)
            tidier = Tidier(app.state.stores, settings, gateway_metrics.tidier)
            gauge_updater = GaugeUpdater(
                gateway_metrics.registry,
                app.state.stores,
                app.state.queues,
                settings,
                is_read=lambda: gateway_metrics.are_read,
            )

            owner_feed = app.state.event_feed = EventFeed(app.state.stores.jobs)

            def on_end(job_id: str) -> None:
                app.state.lanes.forget(job_id)
                announcer.wake()
                owner_feed.notify()

            feed = app.state.feed = Feed(app.state.stores.jobs, app.state.queues, on_end=on_end)
            for streaming in (feed, owner_feed):
                resources.enter_context(call_on_stop_signal(streaming.close))
            fixed_webhooks = store_fixed_endpoints(app.state.stores, settings)
            await resources.enter_async_context(run_in_background(fixed_webhooks))
            if settings.presets:
                loader = PresetLoader(app.state.presets, app.state.stores.blobs, settings, gateway_metrics.presets)
                await resources.enter_async_context(keep_presets(loader))
            bulk_runner = BulkRunner(app.state.stores, app.state.queues, announcer, settings, gateway_metrics)
            for each in (sweeper, tidier, gauge_updater, feed, owner_feed, bulk_runner, announcer):
                await resources.enter_async_context(run_in_background(each.run()))
            if settings.ingest.redis_list:
                await resources.enter_async_context(_consume_events(app, settings))
            yield

    app = FastAPI(
        title="Darkroom",
        version=VERSION,
        lifespan=lifespan,
        openapi_url=None,  # the docs routes serve it
        telemetry={"tracing": False, "metrics": False, "logs": False},  # pipeline/traces.py has its own
        redirect_slashes=False,  # a client that follows a redirect of its POST sends the upload twice
        generate_unique_id_function=lambda route: route.name,  # for routes without an operation_id
        **document.OPTIONS,
    )
    app.state.presets = Presets(settings.renditions, is_ready=not settings.presets)
    app.state.metrics, app.state.lanes = gateway_metrics, LaneChooser(settings.lanes)
    app.state.blob_room = BlobRoom(settings.blobs, upload_bytes=settings.limits.upload_bytes)
    for name, limit in _create_limits(settings.http).items():
        setattr(app.state, name, limit)
    _add_middleware(app, settings)
    problem_handlers.install(app)
    _include_routers(app)
    document.install(app, settings)
    return app


@asynccontextmanager
async def _consume_events(app: FastAPI, settings: Settings) -> AsyncIterator[None]:
    state = app.state
    parts = {name: getattr(state, name) for name in ("stores", "metrics", "lanes", "presets")}
    preparation = Preparation(settings=settings, renditions=state.announcer.renditions, **parts)
    async with open_consumer(preparation, state.queues) as consumer, run_in_background(consumer.run()):
        yield


def _open_stores(settings: Settings) -> AbstractAsyncContextManager[Stores]:
    return open_stores(
        mongo_url=settings.mongo_url,
        blob_url=settings.blob_url,
        timeout_ms=int(settings.mongo_timeout * 1000),
        check_job=check_job,
        report_unreadable=log_unreadable,
    )


def _include_routers(app: FastAPI) -> None:
    """Include all routes."""
    of_jobs = (operations, files, ingest, jobs, reprocess, bulk, events, results, images, tokens)
    of_events = (webhooks, deliveries, event_feed)
    routers = (*of_jobs, *of_events, capabilities, presets, schemas, health, metrics, docs, js_client)
    for module in routers:
        app.include_router(module.router)
    for module in routers:
        app.include_router(module.router.head_routes)


def _create_limits(http: HttpSettings) -> dict[str, ConcurrencyLimit]:
    """Return the limits of what may be open at a time, by their names in the application's state."""
    return {
        "uploads": ConcurrencyLimit(
            problems.TooManyUploads,
            noun="uploads",
            total=http.max_uploads,
            per_caller=http.max_uploads_per_caller,
            retry_after_seconds=1,
        ),
        "downloads": ConcurrencyLimit(
            problems.TooManyDownloads,
            noun="downloads of results",
            total=http.max_downloads,
            per_caller=http.max_downloads_per_caller,
            retry_after_seconds=1,
        ),
        "streams": ConcurrencyLimit(
            problems.TooManyStreams,
            noun="event streams and waiting requests",
            total=http.max_streams,
            per_caller=http.max_streams_per_caller,
            retry_after_seconds=problems.RETRY_AFTER_SECONDS,
        ),
    }


def _add_middleware(app: FastAPI, settings: Settings) -> None:
    """Add the middleware. The one added last runs first."""
    http = settings.http
    app.add_middleware(RootPath, default=http.root_path)
    app.add_middleware(
        BodyTimeout,
        idle_seconds=http.idle_timeout,
        total_seconds=settings.receive_seconds,
        min_rate=http.min_upload_rate,
    )
    app.add_middleware(BodyLimit, limit=settings.limits.upload_bytes + FORM_OVERHEAD_BYTES)
    access = settings.access
    if access.rate_limit or access.list_rate_limit:
        posts, lists = (
            parse_rate_limit(text) if text else None for text in (access.rate_limit, access.list_rate_limit)
        )
        app.add_middleware(RateLimit, limiter=create_limiter(settings.redis_url), posts=posts, lists=lists)
    app.add_middleware(
        Authorization, keys=settings.api_keys, secrets=settings.signing_secrets, presets=settings.key_presets
    )
    tus = describe_server(settings.limits.upload_bytes)
    app.add_middleware(Options, headers={TUS_PATH: tus, f"{TUS_PATH}/{{task_id}}": tus})
    app.add_middleware(Tus)
    app.add_middleware(CrossSite, origins={*settings.cors.origins, *settings.http.allowed_origins})
    app.add_middleware(AllowedHosts, names=settings.http.allowed_hosts or ([ANY] if settings.api_keys else []))
    app.add_middleware(ServerErrorMiddleware, handler=problem_handlers.handle_unexpected_error)
    app.add_middleware(ResourcePolicy)
    app.add_middleware(Cors, settings=settings.cors)
    app.add_middleware(AccessLog, metrics=app.state.metrics)
    app.add_middleware(TrustedProxies, networks=settings.http.trusted_proxies or read_uvicorn_variable())


def production() -> FastAPI:
    """Build the gateway from the environment, for `python -m gateway`."""
    settings = Settings()
    stop_on_preset_mistakes(settings)
    configure_logs(settings.log_format)
    traces.start("darkroom-gateway")
    app = create_app(settings)
    traces.instrument_app(app)
    return app
