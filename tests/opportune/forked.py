"""Processes that start in milliseconds, because they are forked from a server with all imports.

The server itself is forked once per test run, from the program of `command_server.py`.
"""

import os
from multiprocessing import forkserver, get_context, resource_tracker
from typing import Any

from opportune.project.layout import PACKAGE
from tests.opportune.cli.command_server import AUTHENTICATION_KEY, start_fork_server

PROCESSES = get_context("forkserver")
MODULES = (
    *(f"tests.opportune.{folder}.processes" for folder in ("cli.development", "jobs", "contrib.answers")),
    f"{PACKAGE}.installed",
)
"""Modules with functions that run in forked processes. The only server imports all of them."""

_FORK_SERVER: Any = forkserver._forkserver


def _ensure_running() -> None:
    """Replace the function of `multiprocessing`, which would start a fork server in each test process."""
    resource_tracker.ensure_running()
    _FORK_SERVER._forkserver_authkey = AUTHENTICATION_KEY  # forked processes only know the address
    if _FORK_SERVER._forkserver_address is None:
        _FORK_SERVER._forkserver_address = start_fork_server(*MODULES)
        _FORK_SERVER._forkserver_alive_fd = os.open(os.devnull, os.O_RDONLY)  # unused


_FORK_SERVER.ensure_running = _ensure_running
