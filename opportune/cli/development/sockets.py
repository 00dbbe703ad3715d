"""Sockets on which the development server listens, and their URLs."""

import errno
import os
import socket
from collections.abc import Sequence
from contextlib import suppress

from opportune.config.settings import Settings
from opportune.errors import OperatorError
from opportune.server.handover import inherited_listener

MAX_WAITING_CONNECTIONS = 2048
"""Maximum number of connections that wait to be accepted. All of them can be accepted in one step."""
MAX_PORT = 65535
MAX_PORTS_TRIED = 20
"""Maximum number of ports to try after a port in use."""
LOOPBACK_ADDRESSES = {"0.0.0.0": "127.0.0.1", "::": "::1"}
"""Addresses of this machine, by the address that means all interfaces."""


class PortTakenError(OperatorError):
    """Another program uses the port."""


def default_host(settings: Settings) -> str:
    """Return the address to listen on: all interfaces in production, this machine in development."""
    return settings.host or ("0.0.0.0" if settings.is_production else "127.0.0.1")


def reserve(host: str, port: int) -> socket.socket:
    """Bind a socket to the port without listening, or return the socket inherited from an older process."""
    if inherited := inherited_listener():
        return inherited
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    if os.name == "posix":  # on Windows the option would let two servers share the port
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise _socket_error(error, host, port) from error
    return listener


def listen(listener: socket.socket) -> None:
    """Accept connections. Another program may have taken the port since `reserve`."""
    try:
        listener.listen(MAX_WAITING_CONNECTIONS)
    except OSError as error:
        host, port = listener.getsockname()[:2]
        raise _socket_error(error, host, port) from error


def _socket_error(error: OSError, host: str, port: int) -> OperatorError:
    if error.errno == errno.EADDRINUSE:
        return PortTakenError(f"Port {port} is in use. Choose another one with --port, or set PORT.")
    if error.errno in (errno.EACCES, errno.EPERM):
        return OperatorError(f"Port {port} needs more permissions. Choose one above 1023 with --port, or set PORT.")
    if error.errno == errno.EADDRNOTAVAIL or isinstance(error, socket.gaierror):
        reason = f"{host} is not an address of this machine ({error.strerror})."
        return OperatorError(f"{reason} Use --host 127.0.0.1 or 0.0.0.0.")
    return OperatorError(f"The server cannot listen on {host}, port {port}: {error.strerror}.")


def next_free_port(host: str, used_port: int) -> int | None:
    """Return the first free port after a port in use; None if the next ones are also in use."""
    last_port = min(used_port + MAX_PORTS_TRIED, MAX_PORT)
    for port in range(used_port + 1, last_port + 1):
        with suppress(OperatorError), reserve(host, port):
            return port
    return None


def listener_url(listener: socket.socket, *, https: bool = False, hosts: Sequence[str] = ()) -> str:
    """Return the URL of the site for a browser on this machine. If `hosts` is empty, the site accepts any host name."""
    host, port = listener.getsockname()[:2]
    host = LOOPBACK_ADDRESSES.get(host, host)
    accepts_name_only = "localhost" in hosts and host not in hosts
    return _url("localhost" if accepts_name_only else host, port, https=https)


def describe_listener(listener: socket.socket, *, https: bool = False, hosts: Sequence[str] = ()) -> str:
    """Describe the URL of the socket. If it listens on all interfaces, add a URL for this machine."""
    host, port = listener.getsockname()[:2]
    url = listener_url(listener, https=https, hosts=hosts)
    if host not in LOOPBACK_ADDRESSES:
        return url
    return f"{_url(host, port, https=https)} (all addresses of this machine; here: {url})"


def _url(host: str, port: int, *, https: bool) -> str:
    scheme = "https" if https else "http"
    name = f"[{host}]" if ":" in host else host
    return f"{scheme}://{name}:{port}"
