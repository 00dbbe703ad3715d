"""Processes that start in milliseconds: they are forked from a server that has imported what they need.

The server is forked in turn from the program of `command_server.py`, once for all processes of a run.
"""

import os
from multiprocessing import forkserver, get_context, resource_tracker
from typing import Any

from opportune.config.project import PACKAGE
from tests.opportune.cli.command_server import KEY, server_of_processes

PROCESSES = get_context("forkserver")
MODULES = (
    *(f"tests.opportune.{folder}.processes" for folder in ("cli.development", "jobs", "llm.answers", "llm.providers")),
    f"{PACKAGE}.installed",
)
"""There is one server, so it has to know all modules whose functions run there."""

_THEIRS: Any = forkserver._forkserver


def _ensure_running() -> None:
    """As Python's own does, which would start a server for each process that asks."""
    resource_tracker.ensure_running()
    if _THEIRS._forkserver_address is None:
        _THEIRS._forkserver_address = server_of_processes(*MODULES)
        _THEIRS._forkserver_authkey = KEY
        _THEIRS._forkserver_alive_fd = os.open(os.devnull, os.O_RDONLY)  # the program knows whether somebody is left


_THEIRS.ensure_running = _ensure_running
