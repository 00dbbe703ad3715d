"""Opens the port and runs uvicorn on it, for runserver and quickstart."""

import errno
import os
import signal
import socket
import sys
from contextlib import suppress
from importlib.util import find_spec
from typing import Any

import uvicorn
from uvicorn.config import STARTUP_FAILURE

from opportune.config.project import FRAMEWORK, PACKAGE, PROJECT, display_path
from opportune.config.settings import Settings, forget_settings
from opportune.errors import OperatorError
from opportune.ops.telemetry.process import form_group
from opportune.server.connections.acceptor import Acceptor
from opportune.server.handover import Server, hand_over_at_hangup, inherited_listener
from opportune.server.logging import logging_config
from opportune.server.proxies import ServerConfig
from opportune.server.supervisor import Supervisor
from opportune.server.websockets import MAX_WEBSOCKET_MESSAGE_BYTES

MAX_WAITING_CONNECTIONS = 2048
"""Connections that wait to be accepted, and may be accepted in one go before any is turned away."""
RESERVED_OPEN_FILES = 1000
"""Databases, uploads, programs: what a process has open besides."""
MAX_PORT = 65535
MAX_PORTS_TRIED = 20

APPLICATION = f"{PACKAGE}.main:create_app"
RELOADED = "opportune.cli.development.site:create_app"
"""The same, but it tells in the browser why it cannot start."""


class PortTakenError(OperatorError):
    """Another program has the port."""


def address(settings: Settings) -> str:
    """Default address: a host's proxy reaches us from outside, a visitor in development does not."""
    return settings.host or ("0.0.0.0" if settings.is_production else "127.0.0.1")


def reserve(host: str, port: int) -> socket.socket:
    """A socket that holds the port and refuses visitors until something listens on it; or the one that was passed on.

    Raises:
        PortTakenError: another program listens there.
        OperatorError: the address is not this machine's, or the port not for this user.
    """
    if passed_on := inherited_listener():
        return passed_on
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    if os.name == "posix":  # elsewhere the option would let two servers share the port
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise _refusal(error, host, port) from error
    return listener


def _refusal(error: OSError, host: str, port: int) -> OperatorError:
    if error.errno == errno.EADDRINUSE:
        return PortTakenError(f"Port {port} is taken. Choose another one with --port, or set PORT.")
    if error.errno in (errno.EACCES, errno.EPERM):
        return OperatorError(f"Port {port} is not for this user. Choose one above 1023 with --port, or set PORT.")
    return OperatorError(f"{host} is no address of this machine ({error.strerror}). Use --host 127.0.0.1 or 0.0.0.0.")


def next_free_port(host: str, taken: int) -> int | None:
    """The first port after one that is taken, on which nothing listens; None where none is near."""
    for port in range(taken + 1, min(taken + MAX_PORTS_TRIED, MAX_PORT + 1)):
        with suppress(OperatorError), reserve(host, port):
            return port
    return None


def url(listener: socket.socket, *, https: bool = False) -> str:
    """Return the address for a browser on this machine."""
    host, port = listener.getsockname()[:2]
    if host in ("0.0.0.0", "::"):
        host = "127.0.0.1" if host == "0.0.0.0" else "::1"
    scheme = "https" if https else "http"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def listening(listener: socket.socket, *, https: bool = False) -> str:
    """Return the address that it listens on, with one for this machine if that is every address."""
    host, port = listener.getsockname()[:2]
    here = url(listener, https=https)
    if host not in ("0.0.0.0", "::"):
        return here
    named = f"[{host}]" if ":" in host else host
    return f"{here.partition('://')[0]}://{named}:{port} (all addresses of this machine; here: {here})"


def serve(
    listener: socket.socket, settings: Settings, *, workers: int = 1, reload: bool = False, app: str = APPLICATION
) -> None:
    """Tell where, and serve until a signal ends it, or a worker that cannot start.

    Raises:
        OperatorError: another process took the port since it was reserved, or the workers cannot start.
    """
    signal.signal(signal.SIGTERM, _exit)  # also for PID 1 in a container, which no signal ends by default
    _listen(listener)
    print(f"Listening on {listening(listener, https=settings.local_https)} (Ctrl-C stops it)", flush=True)
    tell_port(listener, settings)
    app = RELOADED if reload and app == APPLICATION else app
    allow_open_files(settings.max_http_connections)
    options = {**_options(settings), **_reloading(reload), **_tls(listener, settings)}
    config = ServerConfig(app, factory=True, workers=workers, **options)
    if config.loop == "uvloop" and not settings.local_https:
        config.acceptor = Acceptor(listener)
    server = Server(config)
    try:
        if config.should_reload:
            from opportune.cli.development.reloader import FilesReload  # noqa: PLC0415 - nothing that production does

            FilesReload(config, target=server.run, sockets=[listener]).run()
        elif workers > 1:
            _run_workers(config, listener)
        else:
            if settings.is_production:
                hand_over_at_hangup(listener)
            server.run(sockets=[listener])
    except KeyboardInterrupt:
        pass  # Ctrl-C, or Fly's signal to stop: the server has ended as it should


def tell_port(listener: socket.socket, settings: Settings) -> None:
    """Give the port to the settings that this process and its workers read from now on: e-mails link to it."""
    port = listener.getsockname()[1]
    if port != settings.port:
        os.environ["PORT"] = str(port)
        forget_settings()


def _options(settings: Settings) -> dict[str, Any]:
    return {
        "log_config": logging_config(settings),
        "access_log": False,  # opportune.web.middleware.request_log writes these lines, with the request's number
        "server_header": False,
        "proxy_headers": bool(settings.trusted_proxies),
        "forwarded_allow_ips": settings.trusted_proxies,
        # Proxies keep connections for 60 to 90 seconds, and answer 502 if we close one that they are about to use.
        "timeout_keep_alive": 120,
        # Fly allows 5 seconds between the signal and the end; what closes the database comes after these.
        "timeout_graceful_shutdown": 3,
        "http": f"opportune.server.connections.with_{'httptools' if find_spec('httptools') else 'h11'}:Protocol",
        "ws": "opportune.server.websockets:open_websocket",
        "ws_max_size": MAX_WEBSOCKET_MESSAGE_BYTES,
        # Compression costs memory for each connection, and its length can tell secrets (docs/security.md).
        "ws_per_message_deflate": False,
        # psycopg cannot use the loop that Windows has by default.
        "loop": "asyncio:SelectorEventLoop" if sys.platform == "win32" else "uvloop",
    }


def _tls(listener: socket.socket, settings: Settings) -> dict[str, Any]:
    if not settings.local_https:
        return {}
    from opportune.cli.development.certificate import certificate_for  # noqa: PLC0415 - most servers have a proxy before them

    path = certificate_for(listener.getsockname()[0])
    print(f"The certificate is its own, {display_path(path)}: browsers warn of it until you trust it.", flush=True)
    return {"ssl_keyfile": path, "ssl_certfile": path}


def _reloading(reload: bool) -> dict[str, Any]:
    return {"reload": True, "reload_dirs": [str(PROJECT / PACKAGE), str(FRAMEWORK)]} if reload else {}


def _listen(listener: socket.socket) -> None:
    try:
        listener.listen(MAX_WAITING_CONNECTIONS)
    except OSError as error:
        host, port = listener.getsockname()[:2]
        raise _refusal(error, host, port) from error


def allow_open_files(connections: int) -> None:
    """Ask for as many open files as that takes: by default a process may have 1024, however many it is allowed."""
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + MAX_WAITING_CONNECTIONS + RESERVED_OPEN_FILES
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):  # then as many as there are
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _run_workers(config: uvicorn.Config, listener: socket.socket) -> None:

    form_group(config.workers)
    supervisor = Supervisor(config, sockets=[listener])
    supervisor.run()
    if any(process.exitcode == STARTUP_FAILURE for process in supervisor.processes):
        raise OperatorError("The workers cannot start; the lines above say why.")


def _exit(*_: object) -> None:
    sys.exit(0)
