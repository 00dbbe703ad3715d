"""Processes that start in milliseconds: they are forked from a server that has imported what they need."""

from multiprocessing import get_context

from opportune.project import PACKAGE

PROCESSES = get_context("forkserver")
# There is one server for all of a test run, so it has to know all modules whose functions run there.
PROCESSES.set_forkserver_preload(
    ["pytest", "tests.opportune.cli.processes", "tests.opportune.jobs.processes", f"{PACKAGE}.installed"]
)
