"""A listening socket that is passed on: by systemd to the server, and at SIGHUP by the server to the one after it.

Who connects meanwhile waits in the socket's queue: nobody is refused, and nobody's connection is reset.
"""

import logging
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress

import uvicorn

from opportune.errors import OperatorError
from opportune.server.shutdown import next_version_serves

LISTENER_VARIABLE, READY_VARIABLE = "OPPORTUNE_LISTENER", "OPPORTUNE_READY"
"""The numbers of the open files that a server gives to the next: its socket, and where to say that one is ready."""
SYSTEMD_LISTENER = "3"
"""The first of those that systemd opens (sd_listen_fds)."""
START_TIMEOUT_SECONDS = 120.0
"""Seconds for the next version to be ready, with its migrations; after that the old one goes on."""

logger = logging.getLogger(__name__)


def inherited_listener() -> socket.socket | None:
    """The socket that was passed on to this process, if any was.

    Raises:
        OperatorError: it is not one of a port.
    """
    number = os.environ.pop(LISTENER_VARIABLE, "")
    if not number and os.environ.get("LISTEN_PID") == str(os.getpid()):
        number = SYSTEMD_LISTENER
    if not number:
        return None
    try:
        listener = socket.socket(fileno=int(number))
    except (OSError, ValueError) as error:
        raise OperatorError(f"The socket that was passed on to this process cannot be used: {error}.") from error
    listener.set_inheritable(False)
    if listener.family not in (socket.AF_INET, socket.AF_INET6) or listener.type != socket.SOCK_STREAM:
        listener.detach()
        raise OperatorError("What was passed on to this process is no TCP port: ListenStream=8000 makes one.")
    return listener


def takes_over() -> bool:
    """Whether a server of another version serves until this process is ready."""
    return READY_VARIABLE in os.environ


class Server(uvicorn.Server):
    """One that tells whoever has started it when it takes visitors."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            tell_ready()


def tell_ready() -> None:
    """Tell systemd, and the server whose place this one takes."""
    tell_systemd(f"READY=1\nMAINPID={os.getpid()}")
    if number := os.environ.pop(READY_VARIABLE, ""):
        with suppress(OSError, ValueError):  # it has given up waiting
            os.write(int(number), b"1")
            os.close(int(number))


def tell_systemd(state: str) -> None:
    """Send systemd a state (sd_notify), where it has asked for that by `Type=notify`."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address and sys.platform != "win32":
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client, suppress(OSError):
            client.connect(f"\0{address[1:]}" if address.startswith("@") else address)
            client.send(state.encode())


def hand_over_at_hangup(listener: socket.socket, command: Sequence[str] = ()) -> None:
    """At SIGHUP start the same command anew, from the code that is there now, and end when it takes visitors.

    Both listen to the same socket meanwhile. Where the new one cannot start, this one goes on and says so. Not where a
    hangup means that a terminal is closed, nor for PID 1, with which all of a container ends.
    """
    if sys.platform == "win32" or os.isatty(0) or os.getpid() == 1:
        return
    running = threading.Lock()

    def hand_over(*_: object) -> None:
        threading.Thread(target=replace, args=(listener, command, running), daemon=True).start()

    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup
        signal.signal(signal.SIGHUP, hand_over)


def replace(listener: socket.socket, command: Sequence[str], running: threading.Lock) -> None:
    """Start the next server, and have this one end when it is ready."""
    if not running.acquire(blocking=False):
        logger.warning("Another version is being started already.")
        return
    try:
        fault = _replace(listener, [*(command or (sys.executable, *sys.orig_argv[1:]))])
    finally:
        running.release()
    if fault:
        logger.error("The next version did not start (%s): this one goes on.", fault)


def _replace(listener: socket.socket, command: list[str]) -> str:
    """Why the next one did not start; empty where it did, and this one ends."""
    ready, told = os.pipe()
    environ = {**os.environ, LISTENER_VARIABLE: str(listener.fileno()), READY_VARIABLE: str(told)}
    logger.info("Starting the next version; this one serves until that is ready.")
    try:
        process = subprocess.Popen(command, env=environ, pass_fds=(listener.fileno(), told))
    except OSError as error:
        return str(error)
    finally:
        os.close(told)
    if _is_ready(ready):
        logger.info("Process %s takes visitors now: this one ends.", process.pid)
        next_version_serves.set()
        os.kill(os.getpid(), signal.SIGTERM)
        return ""
    process.terminate()
    return f"exit code {process.wait()}"


def _is_ready(ready: int) -> bool:
    """Wait for the word; the end of the process is one as well."""
    try:
        readable, _, _ = select.select([ready], [], [], START_TIMEOUT_SECONDS)
        return bool(readable) and os.read(ready, 1) == b"1"
    finally:
        os.close(ready)
