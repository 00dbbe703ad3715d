"""Processes of a site that wait until they are killed."""

from multiprocessing.connection import Connection

from opportune.jobs.worker_lock import WorkerLock


def hold_lock(address: str, worker: str, parent: Connection) -> None:
    lock = WorkerLock(address, worker)
    lock.acquire()
    parent.send("held")
    parent.recv()  # blocks until the process is killed
