"""Many-to-many relationships (`Relationship(link_model=…)`) in forms: looked up while somebody types."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from markupsafe import Markup
from sqlalchemy import inspect, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from starlette.requests import Request
from wtforms import Field  # type: ignore[import-untyped]  # has no types

from opportune.admin.authorization import may_list, may_see
from opportune.admin.errors import ValidationRefused
from opportune.admin.forms.foreign_keys import (
    CHOSEN,
    LISTING_REQUIRED,
    ForeignKeyLookup,
    attributes,
    parse_id,
    with_add,
)
from opportune.db.columns import title_of
from opportune.db.violations import NOT_THERE

MAX_CHOSEN_ROWS = 500
"""Of one relationship in one form: each is a parameter of a query, and an option that is written out."""
TOO_MANY = f"At most {MAX_CHOSEN_ROWS} can be chosen."

FIXED = Markup('<select {}>{}</select><div class="form-hint">{}</div>')
PICKER = Markup(
    '<select {}>{}</select><noscript><input class="form-control mt-1" name="{}" placeholder="Numbers of others, with'
    ' commas between" aria-label="{}: numbers of others"></noscript>'
)
SENT = Markup('<input type="hidden" name="{}" value="">')
"""A select of which nothing is chosen sends nothing: this tells it from a form that has no such select."""


class ManyToManyLookup(ForeignKeyLookup):
    """The rows that a row can be linked with."""

    async def linked(self, row: Any) -> list[Any]:
        """Those that it is linked with."""
        relation, view = getattr(self.model_admin.model, self.name), self.model_admin
        mine = view.pk_columns[0] == row.id
        there: Any = aliased(self.model)  # it may be the same table
        joined = select(there).select_from(view.model).join(relation.of_type(there))
        rows = await view.fetch_rows(joined.where(mine))
        return sorted(rows, key=title_of)

    async def allowed(self, session: AsyncSession, request: Request, ids: Sequence[int]) -> list[Any]:
        """The rows with these numbers, in the session.

        Raises:
            ValidationRefused: somebody may not see them, or one is not there for them.
        """
        known = self.known(session)
        if all(number in known for number in ids):
            return [known[number] for number in ids]
        if not await may_see(request, self.view):
            raise ValidationRefused(LISTING_REQUIRED, self.name)
        found = (await session.scalars(self.given(request).where(self.key.in_(ids)))).all()
        if len(found) < len(ids):
            raise ValidationRefused(NOT_THERE, self.name)
        return list(found)


class MultiplePicker:
    """A select of several, which a script makes a search. Without it somebody types numbers."""

    async def __call__(self, field: "ManyToManyField", *, request: Request, address: str, **options: Any) -> Markup:
        described = {"id": field.id, "name": field.name, "multiple": True, **options}
        chosen = await self._options(field, request)
        if not await may_list(request, field.loader.view):
            described["class"] = str(options.get("class", "")).replace("form-control", "form-select")
            shown = FIXED.format(attributes(described), chosen, LISTING_REQUIRED)
        else:
            described |= {"data-role": "select2-ajax", "data-url": address, "data-minimum-input-length": "0"}
            picker = PICKER.format(attributes(described), chosen, field.name, field.label.text)
            shown = await with_add(picker, field, request)
        return SENT.format(field.name) + shown

    @staticmethod
    async def _options(field: "ManyToManyField", request: Request) -> Markup:
        """By name what is stored or may be seen: what somebody has sent names nothing else."""
        lookup, stored = field.loader, set(field.object_data or ())
        kept, new = ([key for key in field.data if (key in stored) is wanted] for wanted in (True, False))
        rows = [*(await lookup.stored(request, kept)), *(await lookup.seen(request, new) if new else ())]
        named = {row.id: lookup.format(row) for row in rows}
        return Markup("").join(CHOSEN.format(**named.get(key, {"id": key, "text": key})) for key in field.data)


class ManyToManyField(Field):  # type: ignore[misc]  # its base has no types
    """The numbers of the rows that are chosen. A form that does not send it changes nothing."""

    widget = MultiplePicker()
    loader: ManyToManyLookup

    def __init__(self, *args: Any, loader: ManyToManyLookup, allow_blank: bool = True, **options: Any) -> None:
        super().__init__(*args, **options)
        self.loader = loader

    def process_data(self, value: Iterable[int] | None) -> None:
        self.data = list(value or ())

    def process_formdata(self, valuelist: list[str]) -> None:
        if not valuelist:
            return
        texts = [text.strip() for sent in valuelist for text in sent.split(",")]
        self.data = list(dict.fromkeys(parse_id(text) for text in texts if text))
        if len(self.data) > MAX_CHOSEN_ROWS:
            self.data = []
            raise ValueError(TOO_MANY)


async def link_rows(
    session: AsyncSession,
    request: Request,
    lookups: Mapping[str, ManyToManyLookup],
    row: Any,
    chosen: Mapping[str, Sequence[int]],
) -> dict[str, Any]:
    """Make these the rows that `row` is linked with, and tell the log of it by names before and after.

    All of its relationships are loaded then: who asks for one that is not, in a hook, would crash.

    Raises:
        ValidationRefused: one of those that are new is not there for whoever asks.
    """
    changes = {}
    for name, lookup in lookups.items():
        if inspect(row).persistent and name in inspect(row).unloaded:
            await session.refresh(row, [name])
        linked = {other.id: other for other in getattr(row, name)}
        ids = chosen.get(name, list(linked))
        new = await lookup.allowed(session, request, [key for key in ids if key not in linked])
        after = [linked[key] for key in ids if key in linked] + new
        if new or len(after) < len(linked):
            changes[name] = [sorted(map(title_of, rows)) for rows in (linked.values(), after)]
        setattr(row, name, after)
    return changes
