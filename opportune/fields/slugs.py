"""Parts of addresses that are made of a title: `/books/the-third-policeman`."""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

import sqlmodel
from pydantic import AfterValidator
from sqlalchemy import String, Text, cast, desc, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel

from opportune.db.hooks.registry import before_change, before_create, changes
from opportune.errors import OperatorError
from opportune.schemas.annotations import Attached, FieldOptions, Stored, marks_of
from opportune.text import Line

M = TypeVar("M", bound=SQLModel)

MAX_SLUG_LENGTH = 80
NUMBER_LENGTH = 6
"""Characters at the end of a slug for the number of one that is taken."""
RESERVED = {"new"}
"""What stands for the form of a new row in the addresses of pages."""
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
    source: str,
    *,
    follows: bool = False,
    keeps_old: str = "",
    max_length: int = MAX_SLUG_LENGTH,
    unique: bool = True,
    **options: Any,
) -> Any:
    """A `Slug` that is made of another field when it is left empty, with a number at its end where it is taken.

    It stays as it is when that field changes, so that links to it hold; with `follows=True` it changes too. `keeps_old`
    names a `TextList` of the model that gets what the slug was, for `find_moved`.
    """
    options.setdefault("description", "The end of its address. Left empty, it is made by itself.")
    field: Any = sqlmodel.Field(default="", max_length=max_length, unique=unique, **options)
    made_of = SlugSource(source, follows, keeps_old, max_length, unique)
    field.metadata.extend((made_of, FieldOptions(data_slug_from=source)))
    return field


@dataclass(frozen=True)
class SlugSource(Attached):
    """What a slug is made of."""

    field: str
    follows: bool
    keeps_old: str
    max_length: int
    unique: bool

    def attach(self, model: type[SQLModel], name: str) -> None:
        """Have the slug of each row made, whichever way the row is written."""
        for wanted in filter(None, (self.field, self.keeps_old)):
            if wanted not in model.model_fields:
                raise OperatorError(
                    f"{model.__name__}.{name}: slug_field(…) names {wanted!r}, which the model has not."
                )

        async def fill(session: AsyncSession, row: SQLModel) -> None:
            slug = getattr(row, name)
            if not slug or self._is_outdated(session, row, name):
                setattr(row, name, await self._make(session, row, name, getattr(row, self.field)))
            elif slug in RESERVED:
                setattr(row, name, await self._make(session, row, name, slug))

        async def keep_old(_session: AsyncSession, row: SQLModel) -> None:
            if (change := changes(row).get(name)) and change.before:
                others = [slug for slug in getattr(row, self.keeps_old) if slug not in (change.before, change.after)]
                setattr(row, self.keeps_old, [*others, change.before])

        before_create(model)(fill)
        before_change(model)(fill)
        if self.keeps_old:
            before_change(model)(keep_old)

    def _is_outdated(self, session: AsyncSession, row: SQLModel, name: str) -> bool:
        if not self.follows or row in session.new:
            return False
        changed = changes(row)
        return self.field in changed and name not in changed

    async def _make(self, session: AsyncSession, row: SQLModel, name: str, text: Any) -> str:
        # Of letters that none of ours stand for nothing is left: the model's name is better than nothing.
        slug = slugify(str(text), self.max_length) or slugify(type(row).__name__)
        if not self.unique and slug not in RESERVED:
            return slug
        column: Any = getattr(type(row), name)
        known = RESERVED | {
            getattr(other, name) for other in session.new if type(other) is type(row) and other is not row
        }
        others = select(column).where(type(row).id != row.id)  # type: ignore[attr-defined]  # of a Model
        if slug not in known and await session.scalar(others.where(column == slug)) is None:
            return slug
        stem = slug[: self.max_length - NUMBER_LENGTH].rstrip("-")
        known |= set(await session.scalars(others.where(column.like(f"{stem}-%"))))
        return next(each for each in _numbered(stem) if each not in known)


async def find_moved(session: AsyncSession, model: type[M], slug: str) -> M | None:
    """Find the row whose slug was this one before, of several the one that is the newest; it looks through all rows."""
    sources = {name: mark for name, info in model.model_fields.items() for mark in marks_of(info, SlugSource)}
    kept = [getattr(model, mark.keeps_old) for mark in sources.values() if mark.keeps_old]
    if not kept or slugify(slug, len(slug)) != slug:
        return None
    # What a slug consists of means itself in JSON and in a pattern.
    rows = select(model).where(cast(kept[0], Text).like(f'%"{slug}"%')).order_by(desc(model.id)).limit(1)  # type: ignore[attr-defined]  # of a Model
    return (await session.scalars(rows)).first()


def _numbered(stem: str) -> Iterable[str]:
    number = 1
    while True:
        number += 1
        yield f"{stem}-{number}"
