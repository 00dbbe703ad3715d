"""Columns that point at another model's row: looked up while somebody types, never all loaded."""

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from markupsafe import Markup
from sqladmin.ajax import QueryAjaxModelLoader
from sqladmin.fields import AjaxSelectField
from sqladmin.widgets import AjaxSelect2Widget
from sqlalchemy import inspect, select
from starlette.requests import Request
from wtforms import Form, ValidationError  # type: ignore[import-untyped]  # has no types
from wtforms.widgets import html_params  # type: ignore[import-untyped]  # has no types

from app.admin.columns import is_long, is_secret, is_text, title_of
from app.admin.search import containing
from app.core.db.model import LARGEST_ID

if TYPE_CHECKING:
    from app.admin.views import AdminView


PICKER = Markup(
    '<select {}><option value=""></option>{}</select><noscript><input class="form-control mt-1" type="number" min="1"'
    ' name="{}" placeholder="Number of another" aria-label="{}: number of another"></noscript>'
)
NO_NUMBER = "Choose one from the list, or give its number."
CHOSEN = Markup('<option value="{id}" selected>{text}</option>')


class Lookup(QueryAjaxModelLoader):
    """The rows that a column can point at, found by their short texts or their number."""

    model_admin: "AdminView"

    def __init__(self, name: str, model: type[Any], view: "AdminView") -> None:
        columns = inspect(model).columns
        short = [key for key, column in columns.items() if is_text(column) and not is_long(column)]
        self.key = inspect(model).primary_key[0]
        super().__init__(name, model, view, fields=[*(key for key in short if not is_secret(key)), self.key])

    def format(self, model: Any) -> dict[str, Any]:
        return {"id": str(model.id), "text": title_of(model)} if model else {}

    async def format_by_pk(self, pk: Any) -> dict[str, Any]:
        rows = await self.rows([parse_id(str(pk))])
        return self.format(rows[0]) if rows else {}

    async def rows(self, ids: list[Any]) -> list[Any]:
        found: list[Any] = await self.model_admin._run_query(select(self.model).where(self.key.in_(ids)))
        return found

    async def get_list(self, request: Request, term: str) -> list[Any]:
        view = self.model_admin._admin_ref.view_of(self.model)
        rows = view.list_query(request) if view else select(self.model)
        statement = containing(rows, self._cached_fields, term).order_by(None).order_by(self.key).limit(self.limit)
        found: list[Any] = await self.model_admin._run_query(statement)
        return found


class Picker(AjaxSelect2Widget):
    """A select with what is chosen, which a script makes a search. Without it somebody types a number."""

    async def __call__(self, field: AjaxSelectField, **options: Any) -> Markup:
        chosen = await field.loader.format_by_pk(field.data) if field.data else {}
        blank = {"data-allow-blank": "1"} if field.allow_blank else {}
        described = {"id": field.id, "name": field.name, "data-role": "select2-ajax", **blank, **options}
        option = CHOSEN.format(**chosen) if chosen else ""
        return PICKER.format(Markup(html_params(**described)), option, field.name, field.label.text)  # noqa: S704 - escaped by WTForms


class ReferenceField(AjaxSelectField):
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
        if 1 <= (number := int(text)) <= LARGEST_ID:
            return number
    raise ValueError(NO_NUMBER)
