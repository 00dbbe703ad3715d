"""Catalogues (.po) read and compiled with Babel, which is imported on first use.

Also imported by the build hook of the wheel, which has no other dependency than Babel. Messages that are fuzzy, empty,
or have other placeholders than their English text are left out, so that the English text is shown.
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from babel.messages.catalog import Catalog, Message

NAMES = re.compile(r"%\((\w+)\)")
COUNTS = {"num", "count"}
"""Placeholders that a plural form may leave out: "one row" instead of "1 row"."""
CREATION_DATE = datetime(1970, 1, 1, tzinfo=UTC)
"""Date of compiled catalogues, so that the same texts give the same bytes."""


def parse_catalogue(content: bytes, locale: str | None = None) -> "Catalog":
    """Return the messages of a catalogue.

    Raises:
        ValueError: The content is not a catalogue.
    """
    from babel.messages.pofile import PoFileError, read_po

    try:
        return read_po(BytesIO(content), locale, charset="utf-8", abort_invalid=True)
    except PoFileError as error:
        raise ValueError(f"line {error.lineno + 1} is not part of a message") from error
    except LookupError as error:
        raise ValueError(f"{error}. Save it in UTF-8, and name this charset in its header") from error


def compile_catalogue(path: Path) -> bytes:
    """Return the compiled form (.mo) of the catalogue `<language>/LC_MESSAGES/messages.po`."""
    from babel.messages.mofile import write_mo

    catalogue = parse_catalogue(path.read_bytes(), path.parents[1].name)
    compiled = BytesIO()
    catalogue.creation_date = CREATION_DATE
    for message in list(messages_of(catalogue)):
        if not any(texts(message.string)) or placeholder_problem(message, catalogue):
            catalogue.delete(message.id, message.context)
    write_mo(compiled, catalogue)
    return compiled.getvalue()


def messages_of(catalogue: "Catalog") -> Iterator["Message"]:
    """Yield the messages of a catalogue without its header."""
    return (message for message in catalogue if message.id)


def texts(value: str | list[str] | tuple[str, ...] | None) -> list[str]:
    """Return the text, or the texts of the plural forms, of a message or translation."""
    return [value] if isinstance(value, str) else list(value or ())


def placeholder_problem(message: "Message", catalogue: "Catalog") -> str | None:
    """Return why the placeholders of a translation do not fit its English text; None if they do."""
    if errors := message.check(catalogue):
        return str(errors[0])
    required = set.intersection(*(set(NAMES.findall(text)) for text in texts(message.id)))
    if message.pluralizable:
        required -= COUNTS
    for text in filter(None, texts(message.string)):
        if names := required - set(NAMES.findall(text)):
            return f"missing named placeholder {min(names)!r}"
        if required:
            try:
                _ = text % defaultdict(int)
            except (TypeError, ValueError) as error:  # such as %(number) without s, or 50% for 50%%
                return str(error)
    return None
