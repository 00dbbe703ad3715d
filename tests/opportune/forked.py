"""Processes that start in milliseconds, because they are forked from a server with all imports."""

from multiprocessing import get_context

from opportune.project.layout import PACKAGE

PROCESSES = get_context("forkserver")
PROCESSES.set_forkserver_preload(
    [
        *(f"tests.opportune.{folder}.processes" for folder in ("cli.development", "jobs", "contrib.answers")),
        f"{PACKAGE}.installed",
    ]
)
