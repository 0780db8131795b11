"""The front door: create_app(), its lifespan and its routers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

from fastapi import FastAPI

from gateway import health, jobs, problems, results, uploads
from gateway.body_limit import BodyLimit
from gateway.schemas import ProblemDocument
from pipeline.celery import configure
from pipeline.logs import configure_logs
from pipeline.queues import Queues, open_queues
from pipeline.settings import Settings
from pipeline.sweeper import Sweeper
from storage.stores import Stores, open_stores

FORM_OVERHEAD_BYTES = 64 * 1024
PROBLEM = {"model": ProblemDocument, "content": {problems.MEDIA_TYPE: {}}}


def create_app(settings: Settings, stores: Stores | None = None, queues: Queues | None = None) -> FastAPI:
    """Build the gateway. Stores and queues that are passed in are used and not closed; others follow the lifespan."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        configure(settings, publisher=True)
        async with AsyncExitStack() as life:
            app.state.settings = settings
            app.state.stores = stores or await life.enter_async_context(
                open_stores(
                    mongo_url=settings.mongo_url,
                    blob_url=settings.blob_url,
                    timeout_ms=int(settings.mongo_timeout * 1000),
                )
            )
            app.state.queues = queues or await life.enter_async_context(open_queues(settings))
            await life.enter_async_context(_sweeping(app))
            yield

    app = FastAPI(
        title="Darkroom",
        version="0.1.0",
        summary="Photos in; validated, upright, metadata-free previews out.",
        lifespan=lifespan,
        responses={"4XX": PROBLEM, "5XX": PROBLEM},
    )
    app.add_middleware(BodyLimit, limit=settings.limits.upload_bytes + FORM_OVERHEAD_BYTES)
    problems.install(app)
    for router in (uploads.router, jobs.router, results.router, health.router):
        app.include_router(router)
    return app


def production() -> FastAPI:
    """Build the gateway from the environment, for uvicorn's `--factory`."""
    settings = Settings()
    configure_logs(settings.log_format)
    return create_app(settings)


@asynccontextmanager
async def _sweeping(app: FastAPI) -> AsyncIterator[None]:
    state = app.state
    sweeper = Sweeper(state.stores.jobs, state.stores.blobs, state.queues, state.settings)
    task = asyncio.create_task(sweeper.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
