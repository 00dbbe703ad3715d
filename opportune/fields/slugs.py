"""Slugs: readable parts of URLs that are generated from a title, such as `/books/the-third-policeman`."""

import re
import unicodedata
from dataclasses import dataclass
from itertools import count
from typing import Annotated, Any, TypeVar

import sqlmodel
from pydantic import AfterValidator
from sqlalchemy import String, Text, cast, desc, select
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
INVALID_SLUG = _l("please use letters from a to z or digits")
SLUG_HELP = _l("The end of the URL. Leave it empty to generate it.")


def slugify(text: str, max_length: int = MAX_SLUG_LENGTH) -> str:
    """Convert text for a URL: "Çay & Python 3.14" becomes "cay-python-3-14".

    Args:
        text: Any text.
        max_length: Maximum characters of the result.
    """
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return "-".join(re.findall(r"[a-z0-9]+", plain))[:max_length].strip("-")


def _to_slug(text: str) -> str:
    if text and not slugify(text):
        raise ValueError(INVALID_SLUG)
    return slugify(text, len(text))


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
                setattr(row, name, await self._generate(session, row, name, getattr(row, self.field)))
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

    async def _generate(self, session: AsyncSession, row: SQLModel, name: str, text: Any) -> str:
        # Text without Latin letters becomes an empty slug. Use the name of the model instead.
        slug = slugify(str(text), self.max_length) or slugify(type(row).__name__)
        if not self.unique and slug not in RESERVED:
            return slug
        column: Any = getattr(type(row), name)
        used_slugs = RESERVED | {
            getattr(other, name) for other in session.new if type(other) is type(row) and other is not row
        }
        slugs_of_others = with_deleted(select(column)).where(type(row).id != row.id)  # type: ignore[attr-defined]  # a Model
        if slug not in used_slugs and await session.scalar(slugs_of_others.where(column == slug)) is None:
            return slug
        stem = slug[: self.max_length - NUMBER_LENGTH].rstrip("-")
        used_slugs |= set(await session.scalars(slugs_of_others.where(column.like(f"{stem}-%"))))
        return next(numbered for number in count(2) if (numbered := f"{stem}-{number}") not in used_slugs)


async def find_moved(session: AsyncSession, model: type[M], slug: str) -> M | None:
    """Return the newest row that had this slug before, or None. The query scans all rows.

    Args:
        session: Session to read from.
        model: Model with a `slug_field(…, keeps_old=…)`.
        slug: Previous slug.
    """
    sources = [source for info in model.model_fields.values() for source in annotations_of(info, SlugSource)]
    columns = [getattr(model, source.keeps_old) for source in sources if source.keeps_old]
    if not columns or slugify(slug, len(slug)) != slug:
        return None
    # A slug needs no escaping in JSON and LIKE.
    rows = select(model).where(cast(columns[0], Text).like(f'%"{slug}"%')).order_by(desc(model.id)).limit(1)  # type: ignore[attr-defined]  # a Model
    return (await session.scalars(rows)).first()
