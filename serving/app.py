"""The HTTP service. `create_app` builds it; nothing is opened before the server starts it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio.to_thread
from fastapi import FastAPI
from fastapi.middleware import Middleware

from serving.body import BodyLimit
from serving.desk import Desk
from serving.problems import install_problem_handlers
from serving.routes import router
from serving.settings import Settings, read_settings


def create_app(settings: Settings | None = None) -> FastAPI:
    """Return the service.

    Parameters
    ----------
    settings
        None: from the environment (``KEEPSIGHT_…``).

    Examples
    --------
    >>> app = create_app(Settings())
    >>> sorted(app.openapi()["paths"])[:3]
    ['/accounts', '/accounts/{account_id}', '/catalogue']
    """
    settings = settings or read_settings()
    desk = Desk(settings)

    @asynccontextmanager
    async def while_running(_app: FastAPI) -> AsyncIterator[None]:
        anyio.to_thread.current_default_thread_limiter().total_tokens = settings.threads
        desk.start()
        try:
            yield
        finally:
            await anyio.to_thread.run_sync(desk.stop)

    app = FastAPI(
        title="Keepsight",
        description="Churn predictions, explained: as known on a date, and honest about what is unknown.",
        version="1",
        lifespan=while_running,
        middleware=[Middleware(BodyLimit, limit_bytes=settings.body_limit_bytes)],
    )
    app.state.desk = desk
    install_problem_handlers(app)
    app.include_router(router)
    return app
