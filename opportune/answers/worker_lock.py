"""Tells at once which processes of this machine have died: each holds a lock that the system lets go of with it.

Elsewhere, and where there are no such locks, the leases of answers tell it after some seconds.
"""

import hashlib
import os
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

MAX_ATTEMPTS = 5
"""How often it is tried to have a lock that whoever goes at that moment takes away."""


class WorkerLock:
    """A lock of this process, until `release`, and a look at those of others."""

    def __init__(self, address: str, worker: str) -> None:
        """`address`: the database's, which all workers of a site share."""
        self.worker = worker
        self._address = address
        self._descriptor: int | None = None

    @property
    def _folder(self) -> Path:
        name = hashlib.sha256(self._address.encode()).hexdigest()[:16]
        if sys.platform == "win32":
            return Path(tempfile.gettempdir(), f"opportune-answers-{name}")
        return Path(tempfile.gettempdir(), f"opportune-answers-{os.getuid()}-{name}")

    def hold(self) -> None:
        """Have others see that this process lives, from now on."""
        from opportune.llm.local_process import make_private  # noqa: PLC0415 - the start need not wait for it

        path = self._folder / self.worker
        for _ in range(MAX_ATTEMPTS):
            if self._descriptor is not None or sys.platform == "win32" or not make_private(self._folder):
                return
            with suppress(FileNotFoundError):  # the folder has gone
                self._descriptor = _locked(path, os.O_CREAT)
                if self._descriptor is not None and not path.exists():
                    os.close(self._descriptor)
                    self._descriptor = None

    def release(self) -> None:
        """Let go of it, and leave nothing behind: neither of this process nor of others that have died."""
        if self._descriptor is None:
            return
        (self._folder / self.worker).unlink(missing_ok=True)
        os.close(self._descriptor)
        self._descriptor = None
        with suppress(OSError):  # somebody else holds theirs there
            for other in self._folder.iterdir():
                self.is_dead(other.name)
            self._folder.rmdir()

    def is_dead(self, worker: str) -> bool | None:
        """Whether the process of this machine has gone; None of one that is not known here."""
        if sys.platform == "win32":
            return None
        path = self._folder / worker
        try:
            descriptor = _locked(path)
        except OSError:
            return None
        if descriptor is None:
            return False
        path.unlink(missing_ok=True)
        os.close(descriptor)
        return True


def _locked(path: Path, flags: int = 0) -> int | None:
    """An open file that is locked by us; None where it is by another."""
    if sys.platform == "win32":
        raise OSError("Windows has no such locks")
    import fcntl  # noqa: PLC0415 - Windows has no such module

    descriptor = os.open(path, os.O_RDWR | flags, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor
