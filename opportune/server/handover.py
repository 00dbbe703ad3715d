"""Restarts without downtime: a listening socket is passed from systemd to the server, or to the next server at SIGHUP.

New connections wait in the queue of the socket, so none is refused or reset.
"""

import logging
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress

import uvicorn

from opportune.errors import OperatorError
from opportune.server.shutdown import limit_time_to_end, next_version_serves

LISTENER_VARIABLE, READY_VARIABLE = "OPPORTUNE_LISTENER", "OPPORTUNE_READY"
"""Variables with file descriptors for the next server: the socket, and a pipe to report that it is ready."""
SYSTEMD_LISTENER = "3"
"""First file descriptor that systemd passes (sd_listen_fds)."""
START_TIMEOUT_SECONDS = 120.0
"""Seconds for the next version to start and migrate. After that, the old version keeps running."""

STOP_TIMEOUT_SECONDS = 10.0
"""Seconds for a next version that is not ready to stop."""

starting_versions: list["subprocess.Popen[bytes]"] = []
"""The process that will replace this one, until it is ready."""
stops = threading.Event()
"""Set when this server stops without a next version."""

logger = logging.getLogger(__name__)


def inherited_listener() -> socket.socket | None:
    """Return the socket that was passed to this process, if any."""
    descriptor = os.environ.pop(LISTENER_VARIABLE, "")
    if not descriptor and os.environ.get("LISTEN_PID") == str(os.getpid()):
        descriptor = SYSTEMD_LISTENER
    if not descriptor:
        return None
    try:
        listener = socket.socket(fileno=int(descriptor))
    except (OSError, ValueError) as error:
        raise OperatorError(f"The socket that was passed to this process cannot be used: {error}.") from error
    listener.set_inheritable(False)
    if listener.family not in (socket.AF_INET, socket.AF_INET6) or listener.type != socket.SOCK_STREAM:
        listener.detach()
        raise OperatorError(
            "The socket that was passed to this process is not a TCP socket. Write ListenStream=8000 in the unit."
        )
    return listener


def takes_over() -> bool:
    """Return whether another version serves until this process is ready."""
    return READY_VARIABLE in os.environ


class Server(uvicorn.Server):
    """A uvicorn server that reports when it accepts requests. If it is stopped, so is a next version that starts."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            report_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if not next_version_serves.is_set():
            stops.set()
            for process in starting_versions:
                process.terminate()
        await super().shutdown(sockets)
        limit_time_to_end()


def report_ready() -> None:
    """Report to systemd and to the server that this one replaces."""
    notify_systemd(f"READY=1\nMAINPID={os.getpid()}")
    if descriptor := os.environ.pop(READY_VARIABLE, ""):
        with suppress(OSError, ValueError):  # the other server no longer waits
            os.write(int(descriptor), b"1")
            os.close(int(descriptor))


def notify_systemd(state: str) -> None:
    """Send a state to systemd (sd_notify), if the unit has `Type=notify`."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address and sys.platform != "win32":
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client, suppress(OSError):
            client.connect(f"\0{address[1:]}" if address.startswith("@") else address)
            client.send(state.encode())


def hand_over_at_hangup(listener: socket.socket) -> None:
    """At SIGHUP, start the current code with the same command, and stop this process when the new one is ready.

    Both listen to the same socket. If the new process fails to start, this one keeps running and logs an error.
    SIGHUP keeps its meaning in a terminal. PID 1 is not replaced, because the container would end with it.
    """
    if sys.platform == "win32" or os.isatty(0) or os.getpid() == 1:
        return
    command = [sys.executable, *sys.orig_argv[1:]]
    lock = threading.Lock()

    def hand_over(*_: object) -> None:
        threading.Thread(target=replace, args=(listener, command, lock), daemon=True).start()

    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup
        signal.signal(signal.SIGHUP, hand_over)


def replace(listener: socket.socket, command: list[str], lock: threading.Lock) -> None:
    """Start the next server, and stop this one when the next is ready."""
    if not lock.acquire(blocking=False):
        logger.warning("Another version is already starting.")
        return
    try:
        problem = _start_next_server(listener, command)
    finally:
        lock.release()
    if problem and not stops.is_set():
        logger.error("The next version did not start (%s). This one keeps running.", problem)


def _start_next_server(listener: socket.socket, command: list[str]) -> str | None:
    """Start the next server, and stop this one when it is ready. Return the reason if it did not start, or None."""
    read_end, write_end = os.pipe()
    environ = {**os.environ, LISTENER_VARIABLE: str(listener.fileno()), READY_VARIABLE: str(write_end)}
    logger.info("Starting the next version. This one serves until it is ready.")
    try:
        process = subprocess.Popen(command, env=environ, pass_fds=(listener.fileno(), write_end))
    except OSError as error:
        os.close(read_end)
        return str(error)
    finally:
        os.close(write_end)
    starting_versions.append(process)
    if stops.is_set():  # since the start
        process.terminate()
    is_ready = _is_ready(read_end)
    starting_versions.remove(process)
    if is_ready and not stops.is_set():
        logger.info("Process %s serves now. This one stops.", process.pid)
        next_version_serves.set()
        os.kill(os.getpid(), signal.SIGTERM)
        return None
    process.terminate()
    try:
        code = process.wait(STOP_TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:  # uvicorn ignores SIGTERM until the site has started
        process.kill()
        code = process.wait()
    return f"exit code {code}"


def _is_ready(read_end: int) -> bool:
    """Wait for the report of the next server. Its end also closes the pipe."""
    with open(read_end, "rb", buffering=0) as pipe, selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        return bool(selector.select(START_TIMEOUT_SECONDS)) and pipe.read(1) == b"1"
