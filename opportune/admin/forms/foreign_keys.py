"""Rows of other models that the columns of a view can refer to, and links to several of them."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, cast

from sqladmin.ajax import QueryAjaxModelLoader
from sqlalchemy import ColumnElement, Select, inspect, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from starlette.requests import Request

from opportune.admin.authorization import may_list, may_see_titles
from opportune.admin.base import BaseAdminView
from opportune.admin.current_request import values_of_request
from opportune.admin.errors import ValidationRefused
from opportune.admin.lists.row_keys import parse_key, quote_key, unquote_key
from opportune.crud.registry import team_owners
from opportune.db.constraint_errors import ENTRY_MISSING
from opportune.db.models.columns import is_long, is_text, python_type_of
from opportune.db.models.labels import title_of
from opportune.db.models.sensitive_names import is_secret
from opportune.db.queries.batches import batches_of
from opportune.db.queries.indexed_search import narrow_search
from opportune.db.queries.matching import is_exact_match, matching_words
from opportune.db.queries.paths import AttributePath
from opportune.i18n import gettext_lazy as _l

MAX_IDS_PER_QUERY = 500
"""Maximum number of ids in one query."""
MAX_SELECTED_ROWS = 500
"""Maximum rows in one field. Each adds a query parameter and an option to the page."""
LISTING_REQUIRED = _l(
    "You may not list these rows, so you cannot choose another one. Ask a superuser for the permission."
)


class ForeignKeyLookup(QueryAjaxModelLoader):
    """The rows that a column can refer to. Users find them by their short texts or by their id.

    Users see the title of a row if they may see that row, or a row that refers to it.
    """

    model_admin: BaseAdminView
    """The view of the model with the column."""
    is_many = False
    """Whether a row can refer to several rows."""

    def __init__(self, name: str, model: type[Any], view: BaseAdminView) -> None:
        columns = inspect(model).columns
        short = [key for key, column in columns.items() if is_text(column) and not is_long(column)]
        self.key = inspect(model).primary_key[0]
        self.has_numbers = python_type_of(self.key) is int
        self.key_name = inspect(model).get_property_by_column(self.key).key
        fields = list(dict.fromkeys((*(name for name in short if not is_secret(name)), self.key_name)))
        super().__init__(name, model, cast("Any", view), fields=[getattr(model, name) for name in fields])
        self.searched = [AttributePath((), inspect(model), name) for name in fields]

    @property
    def view(self) -> BaseAdminView | None:
        """The view of the referenced rows."""
        return self.model_admin.site.view_for_model(self.model)

    def list_query(self, request: Request) -> Select[Any]:
        """Select the rows that the view lists for this user."""
        return self.view.list_query(request) if self.view else select(self.model)

    def key_of(self, row: Any) -> Any:
        return getattr(row, self.key_name)

    def parse(self, text: str) -> Any:
        """Return the key in a text of a form or a URL.

        Raises:
            ValueError: No row can have this key. The message is for the user.
        """
        return parse_key(self.key, unquote_key(text))

    def format(self, model: Any) -> dict[str, Any]:
        return {"id": quote_key(self.key_of(model)), "text": str(title_of(model))} if model else {}

    async def _fetch(self, statement: Select[Any]) -> list[Any]:
        """Read rows with the relationships that titles (`__str__`) may need."""
        with_relationships = statement.options(*self.view.queries.loading(())) if self.view else statement
        return await self.model_admin.queries.objects(with_relationships)

    def loaded_rows(self, request: Request) -> dict[Any, Any]:
        """Return the rows that this request has already loaded, by id."""
        return cast("dict[Any, Any]", values_of_request(request, "lookups").setdefault(self, {}))

    async def referenced_rows(self, request: Request, ids: Sequence[Any]) -> list[Any]:
        """Return the rows that a visible row refers to, whether or not the user may list them. Each is loaded once."""
        loaded = self.loaded_rows(request)
        if missing := [row_id for row_id in ids if row_id not in loaded]:
            rows = await self._fetch(select(self.model).where(self.key.in_(missing)))
            loaded.update((self.key_of(row), row) for row in rows)
        return [loaded[row_id] for row_id in ids if row_id in loaded]

    def title(self, request: Request, key: Any) -> Any:
        """Return the title of a row that `load_references` has loaded, else its key."""
        row = self.loaded_rows(request).get(key)
        return key if row is None else title_of(row)

    async def visible_rows(self, request: Request, ids: list[Any]) -> list[Any]:
        """Return the rows with these ids that the user may see."""
        return await self._fetch((await self._visible_query(request)).where(self.key.in_(ids)))

    async def _visible_query(self, request: Request) -> Select[Any]:
        """Select the rows whose titles the user may see. Without the permission, users only see their own account."""
        if await may_see_titles(request, self.view):
            return self.list_query(request)
        return select(self.model).where(self.key == self.own_id(request))

    def own_id(self, request: Request) -> int | None:
        """Return the id of the current user if the column refers to users, or of the current team if to teams."""
        if self.model in team_owners:
            owner: Any = getattr(request.state, "crud_team", None)
        else:
            owner = request.state.user if isinstance(request.state.user, self.model) else None
        return owner.id if owner else None

    async def titled_rows(self, request: Request, limit: int, *conditions: ColumnElement[bool]) -> list[Any]:
        """Return the first rows that the user may list, with what their titles need."""
        rows = self.list_query(request).where(*conditions).order_by(None)
        return await self._fetch(rows.order_by(self.key).limit(limit))

    async def preload(self, session: AsyncSession, request: Request, ids: Collection[Any]) -> None:
        """Load the visible rows with these ids for later calls of `allowed_rows`, in one query per batch."""
        visible = await self._visible_query(request)
        preloaded: dict[Any, Any] = session.info.setdefault(self, {})
        for batch in batches_of(list(ids), MAX_IDS_PER_QUERY):
            rows = await session.scalars(visible.where(self.key.in_(batch)))
            preloaded.update((self.key_of(row), row) for row in rows)

    def forget(self, session: AsyncSession) -> None:
        session.info.pop(self, None)

    async def allowed_rows(self, session: AsyncSession, request: Request, ids: Sequence[Any]) -> list[Any]:
        """Return the rows with these ids. The user must be able to see them, because lists show their titles.

        Raises:
            ValidationRefused: The user may not see the rows, or one of them does not exist.
        """
        preloaded: Mapping[Any, Any] = session.info.get(self, {})
        if all(row_id in preloaded for row_id in ids):
            return [preloaded[row_id] for row_id in ids]
        rows = (await session.scalars((await self._visible_query(request)).where(self.key.in_(ids)))).all()
        if len(rows) < len(ids):
            may_list_others = await may_see_titles(request, self.view)
            raise ValidationRefused(ENTRY_MISSING if may_list_others else LISTING_REQUIRED, self.name)
        return list(rows)

    async def get_list(self, request: Request, term: str) -> list[Any]:
        searched = [path for path in self.searched if not (self.view and self.view.names.hides(path.name))]
        async with self.model_admin.session_maker() as session:
            narrowed = await narrow_search(session, searched, term)
        return await self.titled_rows(request, self.limit, *matching_words(searched, term), *narrowed)

    async def find_keys(self, request: Request, text: str) -> set[Any]:
        """Return the keys of the rows with exactly this title, if the user may list them, else the key in the text.

        A text key is not told apart from a title.
        """
        mapper: Any = inspect(self.model)
        names = [name for name, column in mapper.columns.items() if is_text(column) or python_type_of(column) is int]
        is_equal = is_exact_match([AttributePath((), mapper, name) for name in names], text)
        rows: list[Any] = []
        if await may_list(request, self.view):
            rows = [*await self.titled_rows(request, MAX_SELECTED_ROWS, is_equal), *await self.get_list(request, text)]
        keys = {self.key_of(row) for row in rows if title_of(row) == text}
        with suppress(ValueError):
            return keys if keys or is_text(self.key) else {self.parse(text)}
        return keys


async def load_references(request: Request, view: BaseAdminView, names: Iterable[str], rows: Sequence[Any]) -> None:
    """Load the rows to which these columns refer, for cells with their titles: one query for each column."""
    for name in view.references.keys() & {*names}:
        ids = {getattr(row, name) for row in rows} - {None}
        await view.references[name].referenced_rows(request, list(ids))


class ManyToManyLookup(ForeignKeyLookup):
    """The rows that a row can be linked with."""

    is_many = True

    async def linked_rows(self, row: Any) -> list[Any]:
        """Return the rows that a row is linked with, by title."""
        relation = getattr(self.model_admin.model, self.name)
        view = self.model_admin
        has_id = view.pk_columns[0] == inspect(row).identity[0]
        related: Any = aliased(self.model)  # a model may be linked with itself
        joined = select(related).select_from(view.model).join(relation.of_type(related))
        return sorted(await view.queries.objects(joined.where(has_id)), key=title_of)


async def link_rows(
    session: AsyncSession,
    request: Request,
    lookups: Mapping[str, ManyToManyLookup],
    row: Any,
    selected: Mapping[str, Sequence[Any]],
) -> dict[str, Any]:
    """Link a row with the selected rows. Return the titles before and after for the log.

    All relationships are loaded, because hooks that read one that is not loaded would fail.

    Raises:
        ValidationRefused: The user may not link one of the rows, or it does not exist.
    """
    changes = {}
    for name, lookup in lookups.items():
        if inspect(row).persistent and name in inspect(row).unloaded:
            await session.refresh(row, [name])
        old_rows = {lookup.key_of(other): other for other in getattr(row, name)}
        ids = selected.get(name, list(old_rows))
        added = await lookup.allowed_rows(session, request, [key for key in ids if key not in old_rows])
        new_rows = [old_rows[key] for key in ids if key in old_rows] + added
        if added or len(new_rows) < len(old_rows):
            changes[name] = [sorted(map(title_of, rows)) for rows in (old_rows.values(), new_rows)]
        setattr(row, name, new_rows)
    return changes
