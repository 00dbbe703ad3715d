"""Server of runserver and quickstart: in this process, in workers, or restarted when code changes."""

import os
import signal
import socket
import sys
from contextlib import suppress
from pkgutil import resolve_name

from uvicorn.config import STARTUP_FAILURE

from opportune.cli.development.server_config import certificate_path, server_config
from opportune.cli.development.sockets import MAX_WAITING_CONNECTIONS, describe_listener, listen
from opportune.cli.process import ONE_MALLOC_ARENA, exec_process
from opportune.config.settings import Settings, clear_settings_cache, get_settings
from opportune.errors import OperatorError
from opportune.project.layout import display_path
from opportune.server.handover import Server, hand_over_at_hangup
from opportune.server.supervisor import Supervisor
from opportune.server.workers import create_worker_group, workers_of_group

APPLICATION = "opportune.project.modules:application"
RELOADED_APPLICATION = "opportune.cli.development.site:create_app"
"""Application that shows startup errors in the browser."""
RELOADER = "opportune.cli.development.reloader:run_reloader"
SUPERVISOR = """
import signal, socket, sys
from pkgutil import resolve_name
for number in (signal.SIGINT, signal.SIGTERM): signal.signal(number, lambda *_: sys.exit(0))
run, app, descriptor = sys.argv[1:4]
sys.path[:] = sys.argv[4:]
resolve_name(run)(app, socket.socket(fileno=int(descriptor)))
"""
"""Code of a process that only waits for others. Its arguments are a function, the application, the file descriptor of
the socket and sys.path.
"""
MIN_OPEN_FILES = 128
RESERVED_OPEN_FILES = 1000
"""Open files for everything except connections, such as databases and uploads."""


def serve(
    listener: socket.socket, settings: Settings, *, workers: int = 1, reload: bool = False, app: str = APPLICATION
) -> None:
    """Print the URL, and serve until a signal."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # PID 1 in a container ignores signals by default
    allow_open_files(settings.max_http_connections)
    listen(listener)
    address = describe_listener(listener, https=settings.local_https, hosts=settings.hosts)
    print(f"Listening on {address} (Ctrl-C stops it)", flush=True)
    set_port(listener, settings)
    if settings.local_https:
        path = display_path(certificate_path(listener))
        print(f"The certificate {path} is self-signed. Browsers warn until you trust it.", flush=True)
    with suppress(KeyboardInterrupt):  # Ctrl-C, or the stop signal of Fly
        if reload:
            _exec_supervisor(RELOADER, RELOADED_APPLICATION if app == APPLICATION else app, listener)
        if workers > 1:
            create_worker_group(workers)
            _exec_supervisor(f"{__name__}:run_workers", app, listener)
        if settings.is_production:
            hand_over_at_hangup(listener)
        Server(server_config(app, settings, listener)).run(sockets=[listener])


def _exec_supervisor(run: str, app: str, listener: socket.socket) -> None:
    """Continue as a small process that runs this function, without what the checks of the start have imported."""
    if sys.platform == "win32":  # a process that starts another one would keep its memory
        resolve_name(run)(app, listener)
        sys.exit()
    listener.set_inheritable(True)
    isolated = ["-I"] if sys.flags.isolated else []
    command = [sys.executable, *isolated, "-c", SUPERVISOR, run, app, str(listener.fileno()), *sys.path]
    exec_process(command, ONE_MALLOC_ARENA | os.environ)


def set_port(listener: socket.socket, settings: Settings) -> None:
    """Set the port in the settings of this process and its workers, because links in e-mails contain it."""
    port = listener.getsockname()[1]
    if port != settings.port:
        os.environ["PORT"] = str(port)
        clear_settings_cache()


def run_workers(app: str, listener: socket.socket) -> None:
    """Supervise the workers of this process's group until a signal."""
    supervisor = Supervisor(server_config(app, get_settings(), listener, workers_of_group()), sockets=[listener])
    supervisor.run()
    failures = (STARTUP_FAILURE,) if supervisor.has_reported else (1, STARTUP_FAILURE)  # 1 after a traceback
    if any(process.exitcode in failures for process in supervisor.processes):
        sys.exit("The workers cannot start. See the errors above.")


def allow_open_files(connections: int) -> None:
    """Raise the limit for this number of connections. The default is often 1024.

    Raises:
        OperatorError: The system allows too few for a site.
    """
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = connections + MAX_WAITING_CONNECTIONS + RESERVED_OPEN_FILES
    if hard != resource.RLIM_INFINITY:
        if hard < MIN_OPEN_FILES:
            raise OperatorError(f"A site opens more than {hard} files. Raise the limit: ulimit -n {MIN_OPEN_FILES}")
        limit = min(limit, hard)
    if soft != resource.RLIM_INFINITY and soft < limit:
        with suppress(OSError, ValueError):  # keep the current limit
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
