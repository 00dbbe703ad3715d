"""Columns that point at another model's row: looked up while somebody types, never all loaded."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, cast

from markupsafe import Markup
from sqladmin.ajax import QueryAjaxModelLoader
from sqladmin.fields import AjaxSelectField
from sqladmin.widgets import AjaxSelect2Widget
from sqlalchemy import Select, inspect, select
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from wtforms import Form, ValidationError  # type: ignore[import-untyped]  # has no types
from wtforms.widgets import html_params  # type: ignore[import-untyped]  # has no types

from opportune.admin.authorization import may_list, may_see
from opportune.admin.errors import ValidationRefused
from opportune.admin.protocols import View
from opportune.db.columns import is_long, is_secret, is_text, title_of
from opportune.db.matching import matching_words
from opportune.db.model import MAX_ID
from opportune.db.paths import Path
from opportune.db.violations import NOT_THERE

BLANK = Markup('<option value=""></option>')
FIXED = Markup('<select {}>{}{}</select><div class="form-hint">{}</div>')
PICKER = Markup(
    '<select {}><option value=""></option>{}</select><noscript><input class="form-control mt-1" type="number" min="1"'
    ' name="{}" placeholder="Number of another" aria-label="{}: number of another"></noscript>'
)
ADD = Markup(
    '<div class="picker"><div>{}</div><a class="btn btn-icon" href="{}?_dialog=1" target="_blank" data-add-for="{}"'
    ' title="Add {}" aria-label="Add {}"><i class="ti ti-plus" aria-hidden="true"></i></a></div>'
)
MAX_NUMBERS = 500
"""Rows that one query asks for."""
INVALID_ID = "Choose one from the list, or give its number."
LISTING_REQUIRED = "To choose another one takes the right to list what there is. A superuser can give it."
CHOSEN = Markup('<option value="{id}" selected>{text}</option>')


def in_batches(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """As many as one query may name."""
    yield from (values[start : start + MAX_NUMBERS] for start in range(0, len(values), MAX_NUMBERS))


class ForeignKeyLookup(QueryAjaxModelLoader):
    """The rows that a column can point at, found by their short texts or their number.

    What a row is called is told to whoever may see it in its own view, and to whoever sees a row that points at it.
    """

    model_admin: Any
    """The view that looks up."""

    def __init__(self, name: str, model: type[Any], view: View) -> None:
        columns = inspect(model).columns
        short = [key for key, column in columns.items() if is_text(column) and not is_long(column)]
        self.key = inspect(model).primary_key[0]
        fields = [*(key for key in short if not is_secret(key)), self.key]
        super().__init__(name, model, cast("Any", view), fields=fields)
        self.searched = [Path((), inspect(model), key if isinstance(key, str) else key.key) for key in fields]

    @property
    def view(self) -> View | None:
        """Of the rows that it finds."""
        view: View | None = self.model_admin.site.view_for_model(self.model)
        return view

    def given(self, request: Request) -> Select[Any]:
        """Those that exist for whoever asks."""
        return self.view.list_query(request) if self.view else select(self.model)

    def format(self, model: Any) -> dict[str, Any]:
        return {"id": str(model.id), "text": title_of(model)} if model else {}

    async def rows(self, ids: list[Any]) -> list[Any]:
        """What rows that somebody sees point at."""
        statement: Select[Any] = select(self.model).where(self.key.in_(ids))
        found: list[Any] = await self.model_admin.fetch_rows(self._with_loaded(statement))
        return found

    def _with_loaded(self, statement: Select[Any]) -> Select[Any]:
        """Load what the names of the rows (`__str__`) may need."""
        return statement.options(*self.view.loading(())) if self.view else statement

    def recall(self, request: Request) -> dict[int, Any]:
        """The rows that this request has read already, by their numbers."""
        if not hasattr(request.state, "lookups"):
            request.state.lookups = {}
        read: dict[int, Any] = request.state.lookups.setdefault(self, {})
        return read

    async def remember(self, request: Request, ids: Sequence[int]) -> None:
        self.recall(request).update((row.id, row) for row in (await self.rows(list(ids)) if ids else ()))

    async def stored(self, request: Request, ids: Sequence[int]) -> list[Any]:
        """What a row that somebody sees points at, of which much may be read already."""
        known = self.recall(request)
        if missing := [number for number in ids if number not in known]:
            await self.remember(request, missing)
        return [known[number] for number in ids if number in known]

    async def seen(self, request: Request, ids: list[Any]) -> list[Any]:
        """What somebody has chosen, as far as they may see it."""
        if not await may_see(request, self.view):
            return []
        statement = self.given(request).where(self.key.in_(ids))
        found: list[Any] = await self.model_admin.fetch_rows(self._with_loaded(statement))
        return found

    async def preload(self, session: AsyncSession, request: Request, numbers: Collection[int]) -> None:
        """Let this transaction know those of these rows that exist for whoever asks, in a query for all of them."""
        if not await may_see(request, self.view):
            return
        known: dict[int, Any] = session.info.setdefault(self, {})
        for batch in in_batches(list(numbers)):
            rows = await session.scalars(self.given(request).where(self.key.in_(batch)))
            known.update((row.id, row) for row in rows)

    def forget(self, session: AsyncSession) -> None:
        session.info.pop(self, None)

    def known(self, session: AsyncSession) -> Mapping[int, Any]:
        """The rows that were preloaded, by their numbers."""
        found: Mapping[int, Any] = session.info.get(self, {})
        return found

    async def check(self, session: AsyncSession, request: Request, number: int) -> None:
        """Let nobody point at what they may not see: lists, pages and exports would tell them what it is called.

        Raises:
            ValidationRefused: they may not, or it is not there for them.
        """
        if number in self.known(session):
            return
        if not await may_see(request, self.view):
            raise ValidationRefused(LISTING_REQUIRED)
        if await session.scalar(self.given(request).where(self.key == number).with_only_columns(self.key)) is None:
            raise ValidationRefused(NOT_THERE)

    async def get_list(self, request: Request, term: str) -> list[Any]:
        searched = [path for path in self.searched if not (self.view and self.view.hides(path.name))]
        matching = self.given(request).where(*matching_words(searched, term))
        first = matching.order_by(None).order_by(self.key).limit(self.limit)
        found: list[Any] = await self.model_admin.fetch_rows(self._with_loaded(first))
        return found


class Picker(AjaxSelect2Widget):
    """A select with what is chosen, which a script makes a search. Without it somebody types a number.

    Who may not search what there is has nothing to choose from but what is there already.
    """

    async def __call__(self, field: Any, *, request: Request, address: str, **options: Any) -> Markup:  # type: ignore[override]  # more is given
        described = {"id": field.id, "name": field.name, **options}
        chosen = await _option(field, request)
        if not await may_list(request, field.loader.view):
            described["class"] = str(options.get("class", "")).replace("form-control", "form-select")
            nothing = BLANK if field.allow_blank or not chosen else ""
            return FIXED.format(attributes(described), nothing, chosen, LISTING_REQUIRED)
        blank = {"data-allow-blank": "1"} if field.allow_blank else {}
        described |= {"data-role": "select2-ajax", "data-url": address, "data-minimum-input-length": "0", **blank}
        return await with_add(
            PICKER.format(attributes(described), chosen, field.name, field.label.text), field, request
        )


async def with_add(picker: Markup, field: Any, request: Request) -> Markup:
    """The picker with a button that opens the form of a new row to choose, for whoever may add one."""
    view: View | None = field.loader.view
    if view is None or not (view.can_create and view.is_accessible(request) and await view.check_can_create(request)):
        return picker
    address = request.url_for("admin:create", identity=view.identity)
    return ADD.format(picker, address, field.id, view.name, view.name)


async def _option(field: Any, request: Request) -> Markup:
    """What is chosen: by its name if it is stored so, or may be seen. What somebody has sent names nothing else."""
    if not field.data:
        return Markup("")
    lookup: ForeignKeyLookup = field.loader
    is_stored = field.data == field.object_data
    found = await (lookup.stored(request, [field.data]) if is_stored else lookup.seen(request, [field.data]))
    return CHOSEN.format(**(lookup.format(found[0]) if found else {"id": field.data, "text": field.data}))


def attributes(described: Mapping[str, Any]) -> Markup:
    return Markup(html_params(**described))  # noqa: S704 - escaped by WTForms


class ForeignKeyField(AjaxSelectField):
    """A select that asks the server for what matches."""

    widget = Picker()

    def process_formdata(self, valuelist: list[str]) -> None:
        given = [text for text in valuelist if text not in ("", "__None")]
        self.data = parse_id(given[-1]) if given else None

    def pre_validate(self, form: Form) -> None:
        if self.data is None and not self.allow_blank and not self.process_errors:
            raise ValidationError("Please choose one.")


def parse_id(text: str) -> int:
    """The number of a row.

    Raises:
        ValueError: no row can have it.
    """
    with suppress(ValueError):
        if 1 <= (number := int(text)) <= MAX_ID:
            return number
    raise ValueError(INVALID_ID)
