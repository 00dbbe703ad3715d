"""Limit of open files of this process, which also limits its connections."""

import sys
from contextlib import suppress

from opportune.cli.development.sockets import MAX_WAITING_CONNECTIONS

RESERVED_OPEN_FILES = 1000
"""Open files for everything except connections, such as databases and uploads."""


def allow_open_files(connections: int) -> None:
    """Raise the limit for this number of connections. The default is often 1024."""
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
