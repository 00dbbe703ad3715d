"""Program that extracts the text of a PDF, in a separate process with limits of time and memory.

It protects the site from files that exhaust memory or never end. It reads the file from standard input and writes lines
of JSON: the number of pages or "locked", then the text of each page. The output for a damaged file may be incomplete.
It is started by its path and must not import the application.
"""

import json
import logging
import os
import sys
from contextlib import suppress
from io import BytesIO
from pathlib import Path

MAX_PAGES = 200
MAX_LENGTH = 200_000
"""Characters of all pages together."""
MAX_MEMORY_BYTES = 256_000_000
"""Address space, which leaves room for the site on a machine with 512 MB. A normal document of 10 MB takes 50 MB."""
MAX_CPU_SECONDS = 30


def main() -> None:
    limit_resources()
    logging.disable()  # pypdf logs a line for each oddity
    sys.setrecursionlimit(500)
    from pypdf import PdfReader
    from pypdf.errors import PyPdfError

    remaining = MAX_LENGTH
    try:
        reader = PdfReader(BytesIO(sys.stdin.buffer.read()))
        if reader.is_encrypted and not reader.decrypt(""):
            write("locked")
            return
        write(len(reader.pages))
        for page in reader.pages[:MAX_PAGES]:
            text = ""
            with suppress(PyPdfError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
                text = page.extract_text()
            write(text[:remaining])
            remaining -= len(text)
            if remaining <= 0:
                return
    except Exception:  # noqa: BLE001, S110 - a damaged file may raise anything
        pass


def limit_resources() -> None:
    """Limit memory and CPU time, and be the first victim of the OOM killer. Does nothing on Windows."""
    if sys.platform == "win32":
        return
    import resource

    for limit, value in ((resource.RLIMIT_AS, MAX_MEMORY_BYTES), (resource.RLIMIT_CPU, MAX_CPU_SECONDS)):
        with suppress(ValueError, OSError):  # macOS has no limit of memory
            resource.setrlimit(limit, (value, value))
    os.nice(5)
    with suppress(OSError):  # only on Linux
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="utf-8")


def write(line: int | str) -> None:
    sys.stdout.write(f"{json.dumps(line)}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
