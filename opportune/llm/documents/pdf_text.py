"""The program that reads the text of a PDF, in a process of its own.

Whoever sends a file may have made it to take for ever, or all memory: that ends this process and not the site. It reads
the file from standard input and writes lines of JSON: the number of pages, or "locked"; then the text of each page. Of
a file that is broken it writes what it got. It is run by its path and must import nothing of the application.
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
"""Characters of all pages."""
MAX_MEMORY_BYTES = 256_000_000
"""Of addresses, so that the site beside it has room on a machine of 512 MB. An honest document of 10 MB takes 50."""
MAX_CPU_SECONDS = 30


def main() -> None:
    bound_resources()
    logging.disable()  # of what is odd in a file there is no end
    sys.setrecursionlimit(500)
    from pypdf import PdfReader
    from pypdf.errors import PyPdfError

    left = MAX_LENGTH
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
            write(text[:left])
            left -= len(text)
            if left <= 0:
                return
    except Exception:  # noqa: BLE001, S110 - a broken file may raise anything
        pass


def bound_resources() -> None:
    """Take no more than that of the machine, and go before the site where it has too little; not so on Windows."""
    if sys.platform == "win32":
        return
    import resource

    for kind, most in ((resource.RLIMIT_AS, MAX_MEMORY_BYTES), (resource.RLIMIT_CPU, MAX_CPU_SECONDS)):
        with suppress(ValueError, OSError):  # macOS knows no bound of memory
            resource.setrlimit(kind, (most, most))
    os.nice(5)
    with suppress(OSError):  # Linux alone has it
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="utf-8")


def write(line: int | str) -> None:
    sys.stdout.write(f"{json.dumps(line)}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
