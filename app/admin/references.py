"""Columns that point at another model's row: looked up while somebody types, never all loaded."""

from typing import TYPE_CHECKING, Any

from sqladmin.ajax import QueryAjaxModelLoader
from sqladmin.fields import AjaxSelectField
from sqlalchemy import inspect, select
from starlette.requests import Request

from app.admin.columns import is_long, is_secret, is_text, title_of
from app.admin.search import containing
from app.core.db.model import LARGEST_ID

if TYPE_CHECKING:
    from app.admin.views import AdminView


class Lookup(QueryAjaxModelLoader):
    """The rows that a column can point at, found by their short texts or their number."""

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
        statement = containing(select(self.model), self._cached_fields, term).order_by(self.key).limit(self.limit)
        found: list[Any] = await self.model_admin._run_query(statement)
        return found


class ReferenceField(AjaxSelectField):
    """A select that asks the server for what matches."""

    def process_formdata(self, valuelist: list[str]) -> None:
        text = valuelist[0] if valuelist else ""
        self.data = None if text in ("", "__None") else parse_id(text)


def parse_id(text: str) -> int:
    """The number of a row.

    Raises:
        ValueError: no row can have it.
    """
    number = int(text)
    if not 1 <= number <= LARGEST_ID:
        raise ValueError("Choose one from the list.")
    return number
