"""Program that extracts the text of a document, in a process with limits of time and memory.

It protects the site from files that exhaust memory or never end. It reads the file from standard input, and writes
lines of JSON: `{"total": 12}` (0 if the number of pages is not known), `{"page": […]}` for each page, and at the end
`{"cut": false}` or `{"problem": "locked"}`. If the process is killed, the last line is missing.
"""

import json
import logging
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from opportune.contrib.extraction.formats import open_document
from opportune.contrib.extraction.pages import Limits, Page, Unreadable

MAX_MEMORY_BYTES = 256_000_000
"""Address space, which leaves room for the site on a machine with 512 MB. A normal document of 10 MB takes 50 MB."""


def main() -> None:
    suffix, *numbers = sys.argv[2:]
    limits = Limits(*map(int, numbers))
    limit_resources(limits.max_seconds)
    logging.disable()  # pypdf logs a line for each oddity
    sys.setrecursionlimit(500)
    try:
        total, pages = open_document(sys.stdin.buffer.read(), suffix)
        write({"total": total})
        write_pages(pages, limits)
    except Unreadable as error:
        write({"problem": str(error)})
    except MemoryError:
        write({"problem": "bomb"})
    except ModuleNotFoundError:
        write({"problem": "missing"})
    except Exception:  # noqa: BLE001 - a damaged file may raise anything
        write({"problem": "damaged"})


def write_pages(pages: Iterator[Page], limits: Limits) -> None:
    remaining = limits.max_length
    for count, page in enumerate(pages):
        if count == limits.max_pages or remaining <= 0:
            write({"cut": True})
            return
        write({"page": [page.number, page.heading[:200], page.text[:remaining]]})
        remaining -= len(page.text)
    write({"cut": remaining < 0})


def limit_resources(max_seconds: int) -> None:
    """Limit memory and CPU time, and be the first victim of the OOM killer. Does nothing on Windows."""
    if sys.platform == "win32":
        return
    import resource

    for limit, value in ((resource.RLIMIT_AS, MAX_MEMORY_BYTES), (resource.RLIMIT_CPU, max_seconds)):
        with suppress(ValueError, OSError):  # macOS has no limit of memory
            resource.setrlimit(limit, (value, value))
    os.nice(5)
    with suppress(OSError):  # only on Linux
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="utf-8")


def write(line: Mapping[str, object]) -> None:
    sys.stdout.write(f"{json.dumps(line)}\n")
    sys.stdout.flush()
