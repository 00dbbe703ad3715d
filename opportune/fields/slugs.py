"""Slugs: readable parts of URLs that are generated from a title, such as `/books/the-third-policeman`."""

import re
import unicodedata
from dataclasses import dataclass
from itertools import count
from typing import Annotated, Any, TypeVar

import sqlmodel
from pydantic import AfterValidator
from sqlalchemy import Select, String, Text, cast, desc, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel

from opportune.db.hooks.registry import before_create, before_update, changes
from opportune.db.sessions.trash import with_deleted
from opportune.errors import OperatorError
from opportune.i18n import gettext_lazy as _l
from opportune.schemas.annotations import Attached, FieldOptions, Stored, annotations_of
from opportune.schemas.text import Line

M = TypeVar("M", bound=SQLModel)

MAX_SLUG_LENGTH = 80
NUMBER_LENGTH = 6
"""Characters at the end of a long slug that make room for a hyphen and a number."""
RESERVED = {"new"}
"""Slugs that no row gets, because `/books/new` is the form of a new row."""
TRANSLITERATIONS = str.maketrans(
    {"ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "ð": "d", "đ": "d", "þ": "th", "ħ": "h", "ł": "l", "ŋ": "n", "ŧ": "t"}
    | {"\N{LATIN SMALL LETTER DOTLESS I}": "i"}
)
"""ASCII for Latin letters that Unicode does not decompose into a letter and an accent. `fields.js` has the same."""
INVALID_SLUG = _l("please use letters from a to z or digits")
SLUG_HELP = _l("The end of the URL. Leave it empty to generate it.")


def slugify(text: str, max_length: int = MAX_SLUG_LENGTH) -> str:
    """Convert text for a URL: "Çay & Python 3.14" becomes "cay-python-3-14"."""
    decomposed = unicodedata.normalize("NFKD", text).lower()
    plain = decomposed.translate(TRANSLITERATIONS).encode("ascii", "ignore").decode()
    return "-".join(re.findall(r"[a-z0-9]+", plain))[:max_length].strip("-")


def _to_slug(text: str) -> str:
    if text and not slugify(text):
        raise ValueError(INVALID_SLUG)
    return slugify(text, len(text))  # it may not grow, because the length of the text has been checked


Slug = Annotated[Line, AfterValidator(_to_slug), Stored(String(MAX_SLUG_LENGTH))]
"""Part of a URL, in lower case letters, digits and hyphens. Other text is converted by `slugify`."""


def slug_field(
    source: str,
    *,
    follows: bool = False,
    keeps_old: str = "",
    max_length: int = MAX_SLUG_LENGTH,
    unique: bool = True,
    **options: Any,
) -> Any:
    """Return a field for a `Slug`. An empty slug is generated from another field, with a number if it is in use.

    Args:
        source: Field of the model from which the slug is generated.
        follows: Whether to change the slug when the source changes. By default it stays, so that links keep working.
        keeps_old: `TextList` field of the model that collects previous slugs for `find_moved`.
        max_length: Maximum characters of the slug.
        unique: Whether slugs must differ.
        options: Options of `Field`.
    """
    options.setdefault("description", SLUG_HELP)
    field: Any = sqlmodel.Field(default="", max_length=max_length, unique=unique, **options)
    slug_source = SlugSource(source, follows, keeps_old, max_length, unique)
    field.metadata.extend((slug_source, FieldOptions(data_slug_from=source)))
    return field


@dataclass(frozen=True)
class SlugSource(Attached):
    """Annotation that registers hooks to fill a slug."""

    field: str
    follows: bool
    keeps_old: str
    max_length: int
    unique: bool

    def attach(self, model: type[SQLModel], name: str) -> None:
        for field in filter(None, (self.field, self.keeps_old)):
            if field not in model.model_fields:
                raise OperatorError(f"{model.__name__}.{name}: slug_field(…) names {field!r}, which does not exist.")

        async def fill_slug(session: AsyncSession, row: SQLModel) -> None:
            slug = getattr(row, name)
            if not slug or self._is_outdated(session, row, name):
                setattr(row, name, await self._generate(session, row, name, str(getattr(row, self.field))))
            elif slug in RESERVED:
                setattr(row, name, await self._generate(session, row, name, slug))

        async def keep_old_slug(_session: AsyncSession, row: SQLModel) -> None:
            if (change := changes(row).get(name)) and change.before:
                older = [slug for slug in getattr(row, self.keeps_old) if slug not in (change.before, change.after)]
                setattr(row, self.keeps_old, [*older, change.before])

        before_create(model)(fill_slug)
        before_update(model)(fill_slug)
        if self.keeps_old:
            before_update(model)(keep_old_slug)

    def _is_outdated(self, session: AsyncSession, row: SQLModel, name: str) -> bool:
        if not self.follows or row in session.new:
            return False
        row_changes = changes(row)
        return self.field in row_changes and name not in row_changes

    async def _generate(self, session: AsyncSession, row: SQLModel, name: str, text: str) -> str:
        """Return a slug of a text, with a number if it is reserved, or in use although slugs must differ."""
        # Text without Latin letters becomes an empty slug. Use the name of the model instead.
        slug = slugify(text, self.max_length) or slugify(type(row).__name__)
        if slug not in RESERVED and not (self.unique and await _is_used(session, row, name, slug)):
            return slug
        stem = slug[: self.max_length - NUMBER_LENGTH].rstrip("-")
        column: Any = getattr(type(row), name)
        similar_slugs = _stored_slugs(row, name).where(column.like(f"{stem}-%"))
        used_slugs = _new_slugs(session, row, name).union(await session.scalars(similar_slugs))
        numbered_slugs = (f"{stem}-{number}" for number in count(2))
        return next(numbered for numbered in numbered_slugs if numbered not in used_slugs)


async def _is_used(session: AsyncSession, row: SQLModel, name: str, slug: str) -> bool:
    if slug in _new_slugs(session, row, name):
        return True
    column: Any = getattr(type(row), name)
    return await session.scalar(_stored_slugs(row, name).where(column == slug)) is not None


def _new_slugs(session: AsyncSession, row: SQLModel, name: str) -> set[str]:
    """Return the slugs of other rows that the session has not inserted yet."""
    return {getattr(other, name) for other in session.new if type(other) is type(row) and other is not row}


def _stored_slugs(row: Any, name: str) -> Select[Any]:
    """Return the query for the slugs of other rows, including deleted rows, which may be restored."""
    model = type(row)
    return with_deleted(select(getattr(model, name))).where(model.id != row.id)


async def find_moved(session: AsyncSession, model: type[M], slug: str) -> M | None:
    """Return the newest row whose `slug_field(…, keeps_old=…)` had this slug before, or None. It scans all rows."""
    sources = (source for info in model.model_fields.values() for source in annotations_of(info, SlugSource))
    name = next((source.keeps_old for source in sources if source.keeps_old), None)
    if not name or slugify(slug, len(slug)) != slug:
        return None
    columns: Any = model
    old_slugs = cast(getattr(columns, name), Text)
    # A slug needs no escaping in JSON and LIKE.
    newest = select(model).where(old_slugs.like(f'%"{slug}"%')).order_by(desc(columns.id)).limit(1)
    return (await session.scalars(newest)).first()
