"""Run PostgreSQL's client programs."""

import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from io import BytesIO
from tempfile import TemporaryFile
from typing import IO, Any, Self


def error_line(stderr: bytes) -> str:
    """Return the first error line. Later lines can contain the data of rows."""
    lines = stderr.decode(errors="replace").splitlines()
    errors = [line for line in lines if "error:" in line.lower()] or lines or ["no error message"]
    return re.sub(r"^.*?error:\s*", "", errors[0], flags=re.IGNORECASE)


class Program:
    """Context manager around a subprocess that collects its error messages."""

    def __init__(self, command: Sequence[str], **options: Any) -> None:
        self._stderr = TemporaryFile()  # noqa: SIM115 - closed by __exit__
        self._process = subprocess.Popen(command, stderr=self._stderr, **options)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._process.__exit__(None, None, None)
        self._stderr.close()

    @property
    def stdout(self) -> IO[bytes]:
        return self._process.stdout or BytesIO()

    @contextmanager
    def stdin(self) -> Iterator[IO[bytes]]:
        """Yield its standard input. If the program exits early, writing stops and `error` has the reason."""
        stdin = self._process.stdin or BytesIO()
        with suppress(BrokenPipeError), stdin:
            yield stdin

    def succeeds(self) -> bool:
        return self._process.wait() == 0

    def error(self) -> str:
        """Wait for the program and return its error message, or "" if it succeeded."""
        self.stdout.close()  # or it would wait for a reader
        if self.succeeds():
            return ""
        self._stderr.seek(0)
        return error_line(self._stderr.read())
