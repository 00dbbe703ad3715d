"""Processes of a site that answer until they die."""

from multiprocessing.connection import Connection

from opportune.jobs.worker_lock import WorkerLock


def hold_lock(address: str, worker: str, parent: Connection) -> None:
    """Live as this worker, and say so."""
    lock = WorkerLock(address, worker)
    lock.hold()
    parent.send("held")
    parent.recv()  # which nobody sends
