"""Files of catalogues: read, updated with the texts of the source, and written without needless changes."""

import re
from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.pofile import write_po

from opportune.errors import OperatorError
from opportune.i18n.catalogue_compiler import parse_catalogue
from opportune.project.layout import PROJECT, display_path

LINE_LENGTH = 100
NEEDLESS_HEADERS = re.compile(
    rb'^"(Project-Id-Version|POT-Creation-Date|PO-Revision-Date|Generated-By|Report-Msgid-Bugs-To'
    rb"|Last-Translator|Language-Team): .*\n",
    re.MULTILINE,
)
HEADER = "# Translations. Update this file with: python3 oppman.py makemessages"


def read_catalogue(path: Path, language: str) -> Catalog:
    """Read a catalogue, or return an empty one."""
    try:
        return parse_catalogue(path.read_bytes(), language.replace("-", "_"))
    except FileNotFoundError:
        return Catalog(locale=language.replace("-", "_"), header_comment=HEADER, charset="utf-8", fuzzy=False)
    except ValueError as error:
        raise not_a_catalogue(path, error) from error


def not_a_catalogue(path: Path, error: Exception) -> OperatorError:
    return OperatorError(f"{display_path(path)} is not a catalogue: {error}. Correct the line, or restore the file.")


def is_editable(folder: Path) -> bool:
    """Return whether a folder belongs to the project, and not to an installed package."""
    return folder.is_relative_to(PROJECT) and "site-packages" not in folder.parts


def as_bytes(catalogue: Catalog) -> bytes:
    """Return the content of the file, without dates that would change with each run."""
    buffer = BytesIO()
    write_po(buffer, catalogue, width=LINE_LENGTH, include_lineno=False, sort_by_file=True)
    return NEEDLESS_HEADERS.sub(b"", buffer.getvalue())
