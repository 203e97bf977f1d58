"""Run the service in this process, until it is told to stop."""

from __future__ import annotations

import contextlib
import socket

import typer
import uvicorn

from features.errors import KeepsightError
from serving.app import create_app
from serving.settings import Settings

SHUTDOWN_SECONDS = 10
WAITING_CONNECTIONS = 1024


def run(settings: Settings) -> None:
    """Listen, say where, and serve until SIGINT or SIGTERM.

    Raises
    ------
    KeepsightError
        The address cannot be listened on.
    """
    listening = _listen(settings.host, settings.port)
    host, port = listening.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    typer.echo(f"Keepsight answers at http://{shown}:{port}/accounts (API: /docs, how far it is: /readyz)")
    config = uvicorn.Config(
        create_app(settings),
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )
    with contextlib.closing(listening), contextlib.suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listening])


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # IPPROTO_TCP said outright: else asyncio does not switch Nagle's algorithm off, and an answer takes 40 ms.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(WAITING_CONNECTIONS)  # from now on a caller waits rather than being refused
    except (OSError, OverflowError) as error:
        listening.close()
        raise KeepsightError(
            f"Cannot listen on {host}:{port} ({error}). Name another with --port (0 takes a free one) or --host."
        ) from error
    return listening
