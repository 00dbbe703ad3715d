"""Name of the group of workers that serve one socket, with which they find each other."""

import os
import secrets

WORKERS_VARIABLE = "OPPORTUNE_WORKERS"
"""Environment variable with the name and size of a group of workers, set by their parent process."""


def create_worker_group(workers: int) -> None:
    """Give the child processes a common group name."""
    os.environ[WORKERS_VARIABLE] = f"{secrets.token_hex(8)}:{workers}"
