"""Files of catalogues: read, updated with the texts of the source, and written without needless changes."""

import re
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.pofile import PoFileError, read_po, write_po

from opportune.errors import OperatorError
from opportune.runtime.atomic_files import open_replacement

LINE_LENGTH = 100
NEEDLESS_HEADERS = re.compile(
    rb'^"(Project-Id-Version|POT-Creation-Date|PO-Revision-Date|Generated-By|Report-Msgid-Bugs-To'
    rb"|Last-Translator|Language-Team): .*\n",
    re.MULTILINE,
)
HEADER = "# Translations. Update this file with: python3 oppman.py makemessages"


def read_catalogue(path: Path, language: str) -> Catalog:
    """Read a catalogue, or return an empty one.

    Raises:
        OperatorError: the file is not a catalogue.
    """
    try:
        with path.open("rb") as file:
            return read_po(file, locale=language.replace("-", "_"), abort_invalid=True)
    except FileNotFoundError:
        return Catalog(locale=language.replace("-", "_"), header_comment=HEADER, charset="utf-8", fuzzy=False)
    except (PoFileError, UnicodeDecodeError, ValueError) as error:
        raise OperatorError(f"{path} is not a catalogue: {error}. Correct the line, or restore the file.") from error


def as_bytes(catalogue: Catalog) -> bytes:
    """Return the content of the file, without dates that would change with each run."""
    buffer = BytesIO()
    write_po(buffer, catalogue, width=LINE_LENGTH, include_lineno=False, sort_by_file=True)
    return NEEDLESS_HEADERS.sub(b"", buffer.getvalue())


def write_catalogue(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open_replacement(path) as file:
        file.write(content)


def find_problems(catalogue: Catalog) -> Iterator[str]:
    """Yield the text and the problem of each message with wrong placeholders or plural forms."""
    for message, errors in catalogue.check():
        text = message.id if isinstance(message.id, str) else message.id[0]
        yield from (f"{text!r}: {error}" for error in errors)


def unfinished(catalogue: Catalog) -> tuple[int, int]:
    """Return the numbers of missing and of fuzzy translations."""
    messages = [message for message in catalogue if message.id]
    fuzzy = sum(message.fuzzy for message in messages)
    return sum(not _is_translated(message) for message in messages if not message.fuzzy), fuzzy


def _is_translated(message: Message) -> bool:
    strings = message.string if isinstance(message.string, (tuple, list)) else (message.string,)
    return all(strings)
