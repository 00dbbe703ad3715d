"""Reader of documents: starts the program that extracts their text, and yields the pages."""

import json
import os
import subprocess
import sys
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from threading import Timer
from typing import Any

from opportune.contrib.extraction.pages import Limits, Page, Unreadable
from opportune.i18n import gettext as _
from opportune.i18n import gettext_lazy as _l
from opportune.project.current import OPPMAN
from opportune.schemas.text import make_storable

ROOT = Path(__file__).parents[3]
START = "import sys; sys.path.insert(0, sys.argv[1]); from opportune.contrib.extraction.program import main; main()"
PASSED_VARIABLES = ("SYSTEMROOT", "LD_LIBRARY_PATH")

PROBLEMS = {
    "locked": _l("%(name)s is protected by a password. Save it without a password and send it again."),
    "damaged": _l("%(name)s is damaged or takes too long to read. Save it again, or send its text."),
    "no_text": _l("%(name)s contains no text; it may be a scan. Send it with recognized text (OCR)."),
    "empty": _l("%(name)s is empty. Send a file with text."),
    "old": _l("%(name)s is in an old format of Office. Save it as DOCX, XLSX or PPTX and send it again."),
    "bomb": _l("%(name)s is refused, because it would become too large. Save it again, or send its text."),
    "missing": _l(
        "%(name)s cannot be read, because this site lacks the packages for it. Save it as a PDF, or let the "
        "administrator run: %(command)s"
    ),
    "unknown": _l(
        "%(name)s cannot be read. Send a PDF, a Word, Excel or PowerPoint file, a web page, or a text in UTF-8."
    ),
}
"""Sentences about documents that cannot be read, by the code of `Unreadable`."""


def describe_problem(problem: str, name: str) -> str:
    return _(PROBLEMS.get(problem, PROBLEMS["damaged"]), name=name, command=f"{OPPMAN} install office")


@dataclass
class DocumentReader:
    """Reads one document. `pages` blocks, so call it in a thread.

    Attributes:
        filename: Name with its suffix, by which Markdown is recognized.
        content: Bytes of the file.
        limits: Limits of the extraction.
        total: Number of pages of a PDF. Set before the first page.
        is_cut: Whether pages or characters are missing, because a limit was reached. Set after the last page.
    """

    filename: str
    content: bytes
    limits: Limits
    total: int = 0
    is_cut: bool = False

    def pages(self) -> Generator[Page, None, None]:
        """Yield the pages that can be read within the limits.

        Raises:
            Unreadable: The document cannot be read, or contains no text.
        """
        has_text = False
        has_ended = False
        for line in self._run_program():
            match line:
                case {"total": total}:
                    self.total = total
                case {"page": [number, heading, text]}:
                    has_text = has_text or bool(text.strip())
                    yield Page(number, make_storable(heading), make_storable(text).strip())
                case {"cut": is_cut}:
                    self.is_cut = is_cut
                    has_ended = True
                case {"problem": problem} if not has_text:
                    raise Unreadable(problem)
        if not has_ended:
            if not has_text:
                raise Unreadable("damaged")
            self.is_cut = True  # pages after a problem, a limit of time or of memory are missing
        elif not has_text:
            raise Unreadable("no_text" if self.total else "empty")  # only pages can be a scan

    def _run_program(self) -> Iterator[dict[str, Any]]:
        """Yield the lines of `program.py`."""
        suffix = Path(self.filename).suffix.lower()
        command = [sys.executable, "-I", "-c", START, str(ROOT), suffix, *map(str, self.limits)]
        environment = {name: os.environ[name] for name in PASSED_VARIABLES if name in os.environ}
        with TemporaryFile() as file:
            file.write(self.content)
            file.seek(0)
            with subprocess.Popen(
                command, stdin=file, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
            ) as process:
                # Reading the output has no timeout. The program limits its CPU time, but may also wait forever.
                timer = Timer(self.limits.max_seconds, process.kill)
                timer.start()
                try:
                    for line in process.stdout or ():
                        if line.endswith(b"\n"):
                            yield json.loads(line)
                finally:
                    timer.cancel()
                    process.kill()
