"""Parts of addresses that are made of a title: `/books/the-third-policeman`."""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any

import sqlmodel
from pydantic import AfterValidator
from sqlalchemy import String, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel

from opportune.annotations import Attached, FieldOptions, Stored
from opportune.db.hooks import before_change, before_create, changes
from opportune.errors import OperatorError
from opportune.text import Line

MAX_SLUG_LENGTH = 80
NO_LETTERS = "please write some letters from a to z, or digits"


def slugify(text: str, max_length: int = MAX_SLUG_LENGTH) -> str:
    """Make a text a part of a URL: "Çay & Python 3.14" is "cay-python-3-14"."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return "-".join(re.findall(r"[a-z0-9]+", plain))[:max_length].strip("-")


def _as_slug(text: str) -> str:
    if text and not slugify(text):
        raise ValueError(NO_LETTERS)
    return slugify(text, len(text))


Slug = Annotated[Line, AfterValidator(_as_slug), Stored(String(MAX_SLUG_LENGTH))]
"""A part of an address, in small letters, digits and hyphens: what somebody writes is made one."""


def slug_field(
    source: str, *, follows: bool = False, max_length: int = MAX_SLUG_LENGTH, unique: bool = True, **options: Any
) -> Any:
    """A `Slug` that is made of another field when it is left empty, with a number at its end where it is taken.

    It stays as it is when that field changes, so that links to it hold; with `follows=True` it changes too.
    """
    options.setdefault("description", "The end of its address. Left empty, it is made by itself.")
    field: Any = sqlmodel.Field(default="", max_length=max_length, unique=unique, **options)
    field.metadata.extend((SlugSource(source, follows, max_length, unique), FieldOptions(data_slug_from=source)))
    return field


@dataclass(frozen=True)
class SlugSource(Attached):
    """What a slug is made of."""

    field: str
    follows: bool
    max_length: int
    unique: bool

    def attach(self, model: type[SQLModel], name: str) -> None:
        """Have the slug of each row made, whichever way the row is written."""
        if self.field not in model.model_fields:
            raise OperatorError(f"{model.__name__}.{name}: slug_field({self.field!r}) names no field of the model.")

        async def fill(session: AsyncSession, row: SQLModel) -> None:
            if not getattr(row, name) or self._is_outdated(session, row, name):
                setattr(row, name, await self._make(session, row, name))

        before_create(model)(fill)
        before_change(model)(fill)

    def _is_outdated(self, session: AsyncSession, row: SQLModel, name: str) -> bool:
        if not self.follows or row in session.new:
            return False
        changed = changes(row)
        return self.field in changed and name not in changed

    async def _make(self, session: AsyncSession, row: SQLModel, name: str) -> str:
        # Of letters that none of ours stand for nothing is left: the model's name is better than nothing.
        slug = slugify(str(getattr(row, self.field)), self.max_length) or slugify(type(row).__name__)
        if not self.unique:
            return slug
        column = getattr(type(row), name)
        # Room for a number, so that what begins alike is found also where that cut it short.
        stem = slug[: self.max_length - 6].rstrip("-")
        rows = select(column).where(or_(column == slug, column.like(f"{stem}-%")), type(row).id != row.id)  # type: ignore[attr-defined]  # of a Model
        known = set(await session.scalars(rows))
        known |= {getattr(other, name) for other in session.new if type(other) is type(row) and other is not row}
        return slug if slug not in known else next(each for each in _numbered(stem) if each not in known)


def _numbered(stem: str) -> Iterable[str]:
    number = 1
    while True:
        number += 1
        yield f"{stem}-{number}"
