"""Other programs at work."""

import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from io import BytesIO
from tempfile import TemporaryFile
from typing import IO, Any, Self


def error_line(said: bytes) -> str:
    """The line of a program's complaints that says what is wrong. Later ones may quote a row."""
    lines = said.decode(errors="replace").splitlines()
    wrong = [line for line in lines if "error:" in line.lower()] or lines or ["it does not say why"]
    return re.sub(r"^.*?error:\s*", "", wrong[0], flags=re.IGNORECASE)


class Program:
    """A program that runs while the block does."""

    def __init__(self, command: Sequence[str], **options: Any) -> None:
        self._complaints = TemporaryFile()  # noqa: SIM115 - closed by __exit__
        self._process = subprocess.Popen(command, stderr=self._complaints, **options)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._process.__exit__(None, None, None)
        self._complaints.close()

    @property
    def said(self) -> IO[bytes]:
        return self._process.stdout or BytesIO()

    @contextmanager
    def accepting(self) -> Iterator[IO[bytes]]:
        """What to write to it. If it ends early, what is left is not written: `fault` tells why."""
        stdin = self._process.stdin or BytesIO()
        with suppress(BrokenPipeError), stdin:
            yield stdin

    def succeeds(self) -> bool:
        return self._process.wait() == 0

    def fault(self) -> str:
        """What it complains of, when it has failed."""
        self.said.close()  # or it would wait for somebody who reads
        if self.succeeds():
            return ""
        self._complaints.seek(0)
        return error_line(self._complaints.read())
