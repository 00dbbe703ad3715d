"""Port and uvicorn server of runserver and quickstart."""

import errno
import os
import signal
import socket
import sys
from contextlib import suppress

from uvicorn.config import STARTUP_FAILURE

from opportune.cli.development.server_config import certificate_path, server_config
from opportune.cli.process import exec_process
from opportune.config.settings import Settings, clear_settings_cache
from opportune.errors import OperatorError
from opportune.project.layout import display_path
from opportune.server.config import ServerConfig
from opportune.server.handover import Server, hand_over_at_hangup, inherited_listener
from opportune.server.supervisor import Supervisor
from opportune.server.workers import create_worker_group

MAX_WAITING_CONNECTIONS = 2048
"""Maximum number of connections that wait to be accepted. All of them can be accepted in one step."""
RESERVED_OPEN_FILES = 1000
"""Open files for everything except connections, such as databases and uploads."""
MAX_PORT = 65535
MAX_PORTS_TRIED = 20

APPLICATION = "opportune.project.modules:application"
RELOADED_APPLICATION = "opportune.cli.development.site:create_app"
"""Application that shows startup errors in the browser."""
RELOADER = """
import socket, sys
app, descriptor = sys.argv[1:3]
sys.path[:] = sys.argv[3:]
from opportune.cli.development.reloader import run_reloader
run_reloader(app, socket.socket(fileno=int(descriptor)))
"""
"""Code of the reloader's process. Its arguments are the application, the file descriptor of the socket and sys.path."""


class PortTakenError(OperatorError):
    """Another program uses the port."""


def default_host(settings: Settings) -> str:
    """Return the address to listen on: all interfaces in production, this machine in development."""
    return settings.host or ("0.0.0.0" if settings.is_production else "127.0.0.1")


def reserve(host: str, port: int) -> socket.socket:
    """Bind a socket to the port without listening, or return the socket inherited from an older process.

    Raises:
        PortTakenError: another program uses the port.
        OperatorError: the address does not belong to this machine, or the port is not allowed for this user.
    """
    if inherited := inherited_listener():
        return inherited
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    if os.name == "posix":  # on Windows the option would let two servers share the port
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise _bind_error(error, host, port) from error
    return listener


def _bind_error(error: OSError, host: str, port: int) -> OperatorError:
    if error.errno == errno.EADDRINUSE:
        return PortTakenError(f"Port {port} is in use. Choose another one with --port, or set PORT.")
    if error.errno in (errno.EACCES, errno.EPERM):
        return OperatorError(f"Port {port} needs more permissions. Choose one above 1023 with --port, or set PORT.")
    reason = f"{host} is not an address of this machine ({error.strerror})."
    return OperatorError(f"{reason} Use --host 127.0.0.1 or 0.0.0.0.")


def next_free_port(host: str, used_port: int) -> int | None:
    """Return the first free port after a port in use; None if the next ones are also in use."""
    for port in range(used_port + 1, min(used_port + MAX_PORTS_TRIED, MAX_PORT + 1)):
        with suppress(OperatorError), reserve(host, port):
            return port
    return None


def listener_url(listener: socket.socket, *, https: bool = False) -> str:
    """Return the address of the site for a browser on this machine."""
    host, port = listener.getsockname()[:2]
    if host in ("0.0.0.0", "::"):
        host = "127.0.0.1" if host == "0.0.0.0" else "::1"
    scheme = "https" if https else "http"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def describe_listener(listener: socket.socket, *, https: bool = False) -> str:
    """Describe the address of the socket. If it listens on all interfaces, add an address for this machine."""
    host, port = listener.getsockname()[:2]
    local = listener_url(listener, https=https)
    if host not in ("0.0.0.0", "::"):
        return local
    name = f"[{host}]" if ":" in host else host
    return f"{local.partition('://')[0]}://{name}:{port} (all addresses of this machine; here: {local})"


def serve(
    listener: socket.socket, settings: Settings, *, workers: int = 1, reload: bool = False, app: str = APPLICATION
) -> None:
    """Print the URL, and serve until a signal.

    Raises:
        OperatorError: the port is in use, or the workers cannot start.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # PID 1 in a container ignores signals by default
    _listen(listener)
    print(f"Listening on {describe_listener(listener, https=settings.local_https)} (Ctrl-C stops it)", flush=True)
    set_port(listener, settings)
    allow_open_files(settings.max_http_connections)
    if settings.local_https:
        path = display_path(certificate_path(listener))
        print(f"The certificate {path} is self-signed. Browsers warn until you trust it.", flush=True)
    with suppress(KeyboardInterrupt):  # Ctrl-C, or the stop signal of Fly
        if reload:
            exec_reloader(RELOADED_APPLICATION if app == APPLICATION else app, listener)
        config = server_config(app, settings, listener, workers)
        if workers > 1:
            _run_workers(config, listener)
            return
        if settings.is_production:
            hand_over_at_hangup(listener)
        Server(config).run(sockets=[listener])


def exec_reloader(app: str, listener: socket.socket) -> None:
    """Continue as the small process of the reloader, without what the checks of the start have imported."""
    if sys.platform == "win32":  # a process that starts another one would keep its memory
        from opportune.cli.development.reloader import run_reloader

        run_reloader(app, listener)
        sys.exit()
    listener.set_inheritable(True)
    isolated = ["-I"] if sys.flags.isolated else []
    exec_process([sys.executable, *isolated, "-c", RELOADER, app, str(listener.fileno()), *sys.path])


def set_port(listener: socket.socket, settings: Settings) -> None:
    """Set the port in the settings of this process and its workers, because links in e-mails contain it."""
    port = listener.getsockname()[1]
    if port != settings.port:
        os.environ["PORT"] = str(port)
        clear_settings_cache()


def _listen(listener: socket.socket) -> None:
    try:
        listener.listen(MAX_WAITING_CONNECTIONS)
    except OSError as error:
        host, port = listener.getsockname()[:2]
        raise _bind_error(error, host, port) from error


def allow_open_files(connections: int) -> None:
    """Raise the limit of open files for this number of connections. The default is often 1024."""
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = connections + MAX_WAITING_CONNECTIONS + RESERVED_OPEN_FILES
    if hard != resource.RLIM_INFINITY:
        limit = min(limit, hard)
    if soft != resource.RLIM_INFINITY and soft < limit:
        with suppress(OSError, ValueError):  # keep the current limit
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))


def _run_workers(config: ServerConfig, listener: socket.socket) -> None:
    create_worker_group(config.workers)
    supervisor = Supervisor(config, sockets=[listener])
    supervisor.run()
    if any(process.exitcode == STARTUP_FAILURE for process in supervisor.processes):
        raise OperatorError("The workers cannot start. See the errors above.")
