"""Processes of a site that use the local model until they are killed."""

import os
from multiprocessing.connection import Connection
from pathlib import Path

from opportune.contrib.llm.providers.local_process import LocalProcess


def use_model(weights: Path, folder: Path, parent: Connection) -> None:
    """Start or join the shared model, and send its process id."""
    os.environ["PYTHONPATH"] = str(weights.parent)  # the stand-in is there
    process = LocalProcess(weights, folder)
    process.open()
    assert process.process
    parent.send(process.process.pid)
    parent.recv()  # blocks until the process is killed
