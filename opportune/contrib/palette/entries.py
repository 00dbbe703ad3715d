"""Entries of the palette for pages and actions that the user may open."""

import asyncio
from collections.abc import Iterator, Sequence
from itertools import chain
from urllib.parse import urlencode

from fastapi import Request

from opportune.accounts.feature import ACCOUNT_PAGES
from opportune.accounts.models import User
from opportune.accounts.permissions import has_permission
from opportune.contrib import documentation
from opportune.feature import Link
from opportune.i18n import gettext
from opportune.search.everything import Entry
from opportune.web.static import icons

ROW_ICON = "file-text"
ICONS = "book-2", "layout-dashboard", "login-2", "logout", "mailbox", "moon", "plus", "search", "tool", "user-plus"

icons.add(ROW_ICON, *ICONS)


def make_entry(label: str, url: str, icon: str) -> Entry:
    """Return an entry with ROW_ICON, one of ICONS, or the icon of a feature."""
    return Entry(label, url, f"ti ti-{icon}")


def link_entry(link: Link) -> Entry:
    return make_entry(link.label, link.path, link.icon)


async def page_entries(request: Request) -> Sequence[Entry]:
    """Return the links of the navigation, the account pages, and in development the pages of the documentation."""
    navigation = chain.from_iterable(feature.site.navigation for feature in request.app.state.features)
    links = [*(link for link in navigation if _may_open(request, link)), *_account_links(request)]
    entries = [*map(link_entry, links)]
    if not request.app.state.settings.is_production:
        entries.append(make_entry("Mailbox of development", "/mailbox", "mailbox"))
    if hasattr(request.app.state, "documentation"):
        entries += await asyncio.to_thread(_documentation_entries)
    return entries


def _may_open(request: Request, link: Link) -> bool:
    if link.permission and not has_permission(request, *link.permission):
        return False
    return request.state.user is not None or not link.signed_in


def _account_links(request: Request) -> Iterator[Link]:
    user: User | None = request.state.user
    if user:
        yield from ACCOUNT_PAGES
        return
    yield Link("Sign in", "/accounts/login", "login-2")
    if request.app.state.settings.registration == "open":
        yield Link("Register", "/accounts/register", "user-plus")


def _documentation_entries() -> list[Entry]:
    titles = documentation.titles_by_type().values()
    return [make_entry(title, f"/docs/{name}", "book-2") for group in titles for name, title in group.items()]


def action_entries(request: Request, query: str) -> Iterator[Entry]:
    user: User | None = request.state.user
    if user and user.may_enter_admin:
        yield make_entry("Admin", "/admin/", "layout-dashboard")
        if query and request.state.permissions:
            # The label contains the query, so it always matches.
            yield make_entry(
                gettext("Search the admin for “%(query)s”", query=query),
                f"/admin/search?{urlencode({'q': query})}",
                "search",
            )
    yield make_entry("Switch between light and dark", "#theme", "moon")
    if user:
        yield make_entry("Sign out", "#sign-out", "logout")
