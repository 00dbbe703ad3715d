"""Text from outside that any database can store."""

from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from opportune.schemas.annotations import UNBOUNDED, Stored

ONE_LINE = r"^[^\r\n]*$"


def storable(value: str) -> str:
    """The same text.

    Raises:
        ValueError: no database takes it.
    """
    if "\0" in value:
        raise ValueError("must not contain the character NUL")
    try:
        value.encode()
    except UnicodeEncodeError:  # half a surrogate pair, which JSON can spell
        raise ValueError("must be valid Unicode") from None
    return value


def made_storable(value: str) -> str:
    """A text of a program's, without what no database takes: NUL, and halves of a surrogate pair."""
    return value.replace("\0", "").encode(errors="replace").decode()


Text = Annotated[
    str,
    StringConstraints(strip_whitespace=True),
    AfterValidator(storable),
    Field(json_schema_extra={"format": "multiline"}),
    Stored(UNBOUNDED),
]
"""Any text but NUL, which PostgreSQL refuses, without white space around it."""

Line = Annotated[str, StringConstraints(strip_whitespace=True, pattern=ONE_LINE), AfterValidator(storable)]
"""One line, without white space around it."""

Password = Annotated[str, AfterValidator(storable), Field(json_schema_extra={"format": "password"})]
"""To the letter: white space around it belongs to it."""
