"""Rows that foreign keys and relationships can refer to, searched while the user types."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, cast

from sqladmin.ajax import QueryAjaxModelLoader
from sqlalchemy import Select, inspect, select
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request

from opportune.admin.authorization import may_see_titles
from opportune.admin.errors import ValidationRefused
from opportune.admin.protocols import View
from opportune.db.constraint_errors import ENTRY_MISSING
from opportune.db.models.columns import is_long, is_secret, is_text, title_of
from opportune.db.models.model import MAX_ID
from opportune.db.queries.indexed_search import narrow_search
from opportune.db.queries.matching import matching_words
from opportune.db.queries.paths import AttributePath
from opportune.i18n import gettext_lazy as _l

MAX_IDS_PER_QUERY = 500
"""Maximum number of ids in one query."""
INVALID_ID = _l("Choose one from the list, or enter its number.")
LISTING_REQUIRED = _l(
    "You may not list these rows, so you cannot choose another one. Ask a superuser for the permission."
)


def in_batches(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """Yield batches of values that are small enough for one query."""
    yield from (values[start : start + MAX_IDS_PER_QUERY] for start in range(0, len(values), MAX_IDS_PER_QUERY))


class ForeignKeyLookup(QueryAjaxModelLoader):
    """The rows that a column can refer to. Users find them by their short texts or by their id.

    Users see the title of a row if they may see that row, or a row that refers to it.
    """

    model_admin: Any
    """The view of the model with the column."""
    is_many = False
    """Whether a row can refer to several rows."""

    def __init__(self, name: str, model: type[Any], view: View) -> None:
        columns = inspect(model).columns
        short = [key for key, column in columns.items() if is_text(column) and not is_long(column)]
        self.key = inspect(model).primary_key[0]
        fields = [*(key for key in short if not is_secret(key)), self.key]
        super().__init__(name, model, cast("Any", view), fields=fields)
        self.searched = [AttributePath((), inspect(model), key if isinstance(key, str) else key.key) for key in fields]

    @property
    def view(self) -> View | None:
        """The view of the referenced rows."""
        view: View | None = self.model_admin.site.view_for_model(self.model)
        return view

    def list_query(self, request: Request) -> Select[Any]:
        """Select the rows that the view lists for this user."""
        return self.view.list_query(request) if self.view else select(self.model)

    def format(self, model: Any) -> dict[str, Any]:
        return {"id": str(model.id), "text": str(title_of(model))} if model else {}

    async def rows(self, ids: list[Any]) -> list[Any]:
        """Load rows by their ids, whether or not the user may list them."""
        statement: Select[Any] = select(self.model).where(self.key.in_(ids))
        rows: list[Any] = await self.model_admin.fetch_rows(self._load_for_titles(statement))
        return rows

    def _load_for_titles(self, statement: Select[Any]) -> Select[Any]:
        """Add the relationships that titles (`__str__`) may need."""
        return statement.options(*self.view.loading(())) if self.view else statement

    def loaded_rows(self, request: Request) -> dict[int, Any]:
        """Return the rows that this request has already loaded, by id."""
        if not hasattr(request.state, "lookups"):
            request.state.lookups = {}
        rows: dict[int, Any] = request.state.lookups.setdefault(self, {})
        return rows

    async def load_rows(self, request: Request, ids: Sequence[int]) -> None:
        self.loaded_rows(request).update((row.id, row) for row in (await self.rows(list(ids)) if ids else ()))

    async def referenced_rows(self, request: Request, ids: Sequence[int]) -> list[Any]:
        """Return the rows that a visible row refers to. Rows that are not loaded yet are loaded."""
        loaded = self.loaded_rows(request)
        if missing := [row_id for row_id in ids if row_id not in loaded]:
            await self.load_rows(request, missing)
        return [loaded[row_id] for row_id in ids if row_id in loaded]

    async def visible_rows(self, request: Request, ids: list[Any]) -> list[Any]:
        """Return the rows with these ids that the user may see."""
        if not await may_see_titles(request, self.view):
            return []
        statement = self.list_query(request).where(self.key.in_(ids))
        rows: list[Any] = await self.model_admin.fetch_rows(self._load_for_titles(statement))
        return rows

    async def preload(self, session: AsyncSession, request: Request, ids: Collection[int]) -> None:
        """Load the visible rows with these ids for later calls of `allowed_rows`, in one query per batch."""
        if not await may_see_titles(request, self.view):
            return
        preloaded: dict[int, Any] = session.info.setdefault(self, {})
        for batch in in_batches(list(ids)):
            rows = await session.scalars(self.list_query(request).where(self.key.in_(batch)))
            preloaded.update((row.id, row) for row in rows)

    def forget(self, session: AsyncSession) -> None:
        session.info.pop(self, None)

    async def allowed_rows(self, session: AsyncSession, request: Request, ids: Sequence[int]) -> list[Any]:
        """Return the rows with these ids. The user must be able to see them, because lists show their titles.

        Raises:
            ValidationRefused: The user may not see the rows, or one of them does not exist.
        """
        preloaded: Mapping[int, Any] = session.info.get(self, {})
        if all(row_id in preloaded for row_id in ids):
            return [preloaded[row_id] for row_id in ids]
        if not await may_see_titles(request, self.view):
            raise ValidationRefused(LISTING_REQUIRED, self.name)
        rows = (await session.scalars(self.list_query(request).where(self.key.in_(ids)))).all()
        if len(rows) < len(ids):
            raise ValidationRefused(ENTRY_MISSING, self.name)
        return list(rows)

    async def get_list(self, request: Request, term: str) -> list[Any]:
        searched = [path for path in self.searched if not (self.view and self.view.hides(path.name))]
        async with self.model_admin.session_maker() as session:
            narrowed = await narrow_search(session, searched, term)
        matching = self.list_query(request).where(*matching_words(searched, term), *narrowed)
        first = matching.order_by(None).order_by(self.key).limit(self.limit)
        rows: list[Any] = await self.model_admin.fetch_rows(self._load_for_titles(first))
        return rows


def parse_id(text: str) -> int:
    """Return the id in a text.

    Raises:
        ValueError: The text is not an id that a row can have.
    """
    with suppress(ValueError):
        if text.strip().isdecimal() and 1 <= (number := int(text)) <= MAX_ID:
            return number
    raise ValueError(INVALID_ID)
