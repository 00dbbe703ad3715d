"""Client programs of PostgreSQL as subprocesses: their connection string, standard streams and errors."""

import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from io import BytesIO
from tempfile import TemporaryFile
from typing import IO, Any, Self

from psycopg.conninfo import make_conninfo

from opportune.config.settings import Settings
from opportune.db.url.direct import direct_url

INSTALL_HINT = "install PostgreSQL's client programs (Debian: apt install postgresql-client)"
ERROR_START = re.compile(r"^.*?(?:error:\s*|\w+:  (?=(?!0[012])[0-9A-Z]{5}: ))", re.IGNORECASE)
"""Before the message of an error. A server may have another language, in which only the code of the error is known."""


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


def build_connection_string(settings: Settings) -> str:
    """Return the database's connection string for libpq's programs, with timeouts and without the password."""
    url = direct_url(settings)
    arguments = {name: value for name, value in url.arguments.items() if name != "prepare_threshold"}  # psycopg only
    return make_conninfo(url.conninfo, **arguments)


def error_line(stderr: bytes) -> str:
    """Return the first error line. Later lines can contain the data of rows."""
    lines = stderr.decode(errors="replace").splitlines()
    errors = [*filter(ERROR_START.match, lines)] or lines or ["no error message"]
    return ERROR_START.sub("", errors[0])
