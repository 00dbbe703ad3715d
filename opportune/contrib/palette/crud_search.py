"""Search in the models with `CrudPages`, and actions for their rows."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import Any
from urllib.parse import urlencode

from fastapi import Request
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.accounts.models import User
from opportune.accounts.permissions import identity_of, matches_permission
from opportune.contrib.palette.entries import ROW_ICON, make_entry
from opportune.crud import Crud
from opportune.crud.formats import names_of
from opportune.crud.latest import Pages, mounted_pages, open_list
from opportune.db.queries.matching import is_exact_match, read_first
from opportune.errors import NotFound
from opportune.i18n import gettext, lower_name
from opportune.search.everything import HITS_PER_GROUP, Entry, EntryGroup, Source


class CrudSearch:
    """Searches for a user, by the rules of the data layers."""

    def __init__(self, request: Request, session: AsyncSession, user: User | None) -> None:
        self.request = request
        self.session = session
        self.user = user
        self._mounted = mounted_pages(request)

    def sources(self, query: str) -> Iterator[tuple[str, Source]]:
        for pages in self._mounted:
            if pages.has("list") and pages.has("get") and "q" in pages.crud_class.Filter.model_fields:
                yield pages.plural, partial(self._search, pages, query)

    async def additions(self) -> Sequence[Entry]:
        """Return an action for each model to which the user may add rows."""
        entries = []
        for pages in self._mounted:
            crud = await self._open(pages)
            if crud and pages.may_create(crud):
                label = gettext("Add %(name)s", name=lower_name(pages.name))
                entries.append(make_entry(label, f"{pages.path}/new", "plus"))
        return entries

    async def row_actions(self, path: str) -> Sequence[Entry]:
        """Return the link from the page of a row to its page in the admin."""
        for pages in self._mounted:
            key = path.removeprefix(f"{pages.path}/")
            if key == path or "/" in key or not self._has_admin_page(pages.crud_class.model):
                continue
            if row := await self._find_row(pages, key):
                url = f"/admin/{identity_of(pages.crud_class.model)}/details/{row.id}"
                return [make_entry("Open in the admin", url, "tool")]
        return []

    async def _search(self, pages: Pages, query: str) -> EntryGroup | None:
        crud = await self._open(pages)
        if crud is None or not (crud.may("list") and crud.may("get")):
            return None
        filter_ = crud.Filter(q=query)
        await crud.narrow_search(filter_)
        exact = is_exact_match(crud.searched_attributes(), query, crud.visible)
        rows = await read_first(self.session, crud.select(filter_), exact, HITS_PER_GROUP + 1)
        titles = await names_of(self.session, rows)
        entries = [make_entry(title, pages.url_of(row), ROW_ICON) for title, row in zip(titles, rows, strict=True)]
        more_url = f"{pages.path}?{urlencode({'q': query})}" if len(rows) > HITS_PER_GROUP else ""
        return EntryGroup(pages.plural, entries[:HITS_PER_GROUP], more_url)

    async def _open(self, pages: Pages) -> Crud[Any] | None:
        return await open_list(pages, self.request, self.session, self.user)

    async def _find_row(self, pages: Pages, key: str) -> Any:
        crud = await self._open(pages)
        with suppress(NotFound):
            return await crud.get(key) if crud and crud.may("get") else None
        return None

    def _has_admin_page(self, model: type[Any]) -> bool:
        """Return whether the user may open the rows of a model in the admin."""
        if self.user is None or not self.user.may_enter_admin:
            return False
        identity = identity_of(model)
        has_permission = matches_permission(self.request.state.permissions, identity, "get")
        return has_permission and self.request.app.state.declared_permissions.has_view(identity)
