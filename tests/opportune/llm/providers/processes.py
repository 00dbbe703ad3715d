"""Processes of a site that use the local model until they die."""

import os
from multiprocessing.connection import Connection
from pathlib import Path

from opportune.llm.providers.local_process import LocalProcess


def use_model(weights: Path, folder: Path, parent: Connection) -> None:
    """Start it, or use the one that others have started, and say which program it is."""
    os.environ["PYTHONPATH"] = str(weights.parent)  # the stand-in is there
    used = LocalProcess(weights, folder)
    used.open()
    assert used.process
    parent.send(used.process.pid)
    parent.recv()  # which nobody sends
