"""Request bodies: bounded, JSON only, and strict JSON.

Starlette's own parser lets NaN and Infinity through and has no limit of its own; orjson refuses them, numbers
that overflow, lone surrogates and nesting deeper than 1024.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import orjson
from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.problems import BAD_REQUEST, BODY_TOO_LARGE, UNSUPPORTED_CONTENT, RequestProblem, problem


class StrictRequest(Request):
    """A request whose JSON is parsed by orjson."""

    async def json(self) -> Any:
        """Return the parsed body; `orjson.JSONDecodeError` (a ``json.JSONDecodeError``) if it is not JSON."""
        if not hasattr(self, "_json"):
            self._json = orjson.loads(await self.body())
        return self._json


class StrictRoute(APIRoute):
    """A route that reads its body through :class:`StrictRequest`, and only as ``application/json``."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return FastAPI's handler, with the content type checked before it."""
        handle = super().get_route_handler()
        takes_body = self.body_field is not None

        async def handle_strictly(request: Request) -> Response:
            if takes_body:
                _refuse_other_content(request.headers)
            return await handle(StrictRequest(request.scope, request.receive))

        return handle_strictly


def _refuse_other_content(headers: Headers) -> None:
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise RequestProblem(UNSUPPORTED_CONTENT, "The body's content type is not application/json.")
    if headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        raise RequestProblem(UNSUPPORTED_CONTENT, "Compressed bodies are not read: send it as it is.")


class BodyLimit:
    """ASGI middleware: a body longer than `limit_bytes` is refused with 413, announced or streamed."""

    def __init__(self, app: ASGIApp, limit_bytes: int) -> None:
        self.app = app
        self.limit_bytes = limit_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on while its body stays within the limit."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        announced = Headers(scope=scope).get("content-length", "0")
        if not (announced.isascii() and announced.isdigit()):
            await _refuse(send, problem(BAD_REQUEST, "Content-Length is not a whole number."))
            return
        if len(announced) > 18 or int(announced) > self.limit_bytes:
            await _refuse(send, problem(BODY_TOO_LARGE, self._too_large()))
            return
        received = 0

        async def receive_within_limit() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self.limit_bytes:
                raise RequestProblem(BODY_TOO_LARGE, self._too_large())
            return message

        await self.app(scope, receive_within_limit, send)

    def _too_large(self) -> str:
        return f"The body is longer than {self.limit_bytes} bytes."


async def _refuse(send: Send, document: dict[str, Any]) -> None:
    headers = [(b"content-type", b"application/problem+json"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": document["status"], "headers": headers})
    await send({"type": "http.response.body", "body": orjson.dumps(document)})
