"""Ports of this machine, for servers that tests start."""

import socket
import subprocess
import time

START_SECONDS = 10


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def wait_until_reachable(port: int, process: "subprocess.Popen[bytes]") -> None:
    """Wait until the server of a process accepts connections.

    Raises:
        RuntimeError: The server did not start.
    """
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionError:
            time.sleep(0.02)
        else:
            return
    raise RuntimeError(f"The test server of port {port} did not start")
