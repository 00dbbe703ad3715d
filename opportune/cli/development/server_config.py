"""Options of uvicorn for runserver and quickstart, also for the process that the reloader starts."""

import sys
from pathlib import Path
from socket import socket
from typing import Any

from opportune.config.settings import Settings
from opportune.server.config import MAX_WEBSOCKET_MESSAGE_BYTES, ServerConfig
from opportune.server.logging import logging_config


def server_config(app: str, settings: Settings, listener: socket, workers: int = 1) -> ServerConfig:
    """Return the configuration of the process that serves the application of this name."""
    options = {**server_options(settings), **_tls_options(listener, settings)}
    return ServerConfig(app, factory=True, workers=workers, **options)


def server_options(settings: Settings) -> dict[str, Any]:
    return {
        "log_config": logging_config(settings),
        "access_log": False,  # written by opportune.web.middleware.request_log, with the request id
        "server_header": False,
        "lifespan": "on",  # "auto" would serve a site whose start has failed
        "proxy_headers": bool(settings.trusted_proxies),
        "forwarded_allow_ips": settings.trusted_proxies,
        # Longer than the 60 to 90 seconds of proxies, which respond with 502 if a connection closes while they use it.
        "timeout_keep_alive": 120,
        # Fly allows 5 seconds in total, and closing the database also takes time.
        "timeout_graceful_shutdown": 3,
        "http": "opportune.server.connection_limits:Protocol",
        "ws": "opportune.server.config:open_websocket",
        "ws_max_size": MAX_WEBSOCKET_MESSAGE_BYTES,
        # Compression needs memory per connection, and message lengths can reveal secrets (oppman.py docs security).
        "ws_per_message_deflate": False,
        # psycopg does not support Windows' default loop.
        "loop": "asyncio:SelectorEventLoop" if sys.platform == "win32" else "uvloop",
    }


def _tls_options(listener: socket, settings: Settings) -> dict[str, Any]:
    if not settings.local_https:
        return {}
    path = certificate_path(listener)
    return {"ssl_keyfile": path, "ssl_certfile": path}


def certificate_path(listener: socket) -> Path:
    from opportune.cli.development.certificate import certificate_for  # rarely needed

    return certificate_for(listener.getsockname()[0])
