"""The page /search: pages, actions and rows that the current user may open."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel

from opportune.accounts.models import User
from opportune.admin import AdminView
from opportune.contrib.palette import pages
from opportune.feature import Feature, Link, SiteSearch
from opportune.testing import add_permission, make_user, signed_in_client
from tests.opportune.crud.library import BookStatus, Note, Notes, Volume, Volumes, Writer
from tests.opportune.crud.pages_feature import library
from tests.opportune.site_with import site_fixture
from tests.opportune.stored_rows import add_rows

PALETTE = {"HX-Request-Type": "partial"}


async def find_notes(session: AsyncSession, user: User | None, query: str, limit: int) -> Sequence[Link]:
    if user is None:
        return []
    page = await Notes(session, user).list(Notes.Filter(q=query, size=limit))
    return [Link(note.text, f"/notes/{note.id}/edit", "note") for note in page.items]


SEARCHES = [SiteSearch("Notes", find_notes, "/notes")]
EDITORS = Link("Editors", "/editors", "pencil", ("volume", "update"))
MEMBERS = [Link("Members", "/members", "users", signed_in=True), EDITORS]


class VolumeAdmin(AdminView, model=Volume): ...


searched: Feature = replace(
    library,
    models=(Volume, Note, Writer),
    admin=replace(library.admin, views=(VolumeAdmin,)),
    site=replace(library.site, searches=SEARCHES, navigation=[*library.site.navigation, *MEMBERS]),
)


def volume(title: str, status: BookStatus) -> Volume:
    return Volume(title=title, slug=title.lower().replace(" ", "-"), writer_id=1, status=status)


def make_rows() -> Iterable[SQLModel]:
    """Return eight published volumes and a draft."""
    titles = "Emma 1", "EMMA", *(f"Emma {number}" for number in range(2, 8))
    published = [volume(title, BookStatus.PUBLISHED) for title in titles]
    return Writer(id=1, name="Jane"), *published, volume("Emma draft", BookStatus.DRAFT)


app = site_fixture(searched, make_rows)


@pytest.fixture
async def member(app: FastAPI, user: User, user_client: AsyncClient) -> AsyncClient:
    other = await make_user(app.state.database)
    await add_rows(app, Note(owner_id=user.id, text="Emma, mine"), Note(owner_id=other.id, text="Emma, theirs"))
    return user_client


async def read(client: AsyncClient, query: str = "", at: str = "/", **headers: Any) -> str:
    response = await client.get("/search", params={"q": query, "at": at}, headers=headers or PALETTE)
    assert response.status_code == 200
    assert response.headers["cache-control"] == "no-store"
    return response.text


async def test_visitors_find_public_rows(client: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    page = await read(client, "emma")
    assert page.index('href="/volumes/emma"') < page.index('href="/volumes/emma-7"'), "the exact match is first"
    assert "Emma draft" not in page
    assert "Emma, " not in page, "notes belong to users"
    monkeypatch.setattr(Volumes, "may", lambda _volumes, action: action == "list")
    assert "/volumes/emma" not in await read(client, "emma"), "hits lead to pages that the visitor may open"


async def test_users_find_their_rows(member: AsyncClient) -> None:
    page = await read(member, "emma")
    assert [text in page for text in ("Emma, mine", "Emma, theirs")] == [True, False]


async def test_pages_depend_on_the_user(client: AsyncClient, member: AsyncClient) -> None:
    anonymous, signed_in = await read(client), await read(member)
    for text, is_public in (("Volumes", True), ("Sign in", True), ("Members", False), ("Passkeys", False)):
        assert (f">{text}<" in anonymous) == is_public, text
    for text, is_visible in (("Members", True), ("Passkeys", True), ("Sign in", False), ("Editors", False)):
        assert (f">{text}<" in signed_in) == is_visible, text
    assert 'href="#sign-out"' in signed_in
    assert 'href="#sign-out"' not in anonymous


async def test_allowed_links_are_shown(app: FastAPI, client: AsyncClient, member: AsyncClient, user: User) -> None:
    async def links(browser: AsyncClient) -> list[str]:
        page = (await browser.get("/volumes")).text
        return [path for path in ("/volumes", "/members", "/editors") if f'href="{path}"' in page]

    assert (await links(client), await links(member)) == (["/volumes"], ["/volumes", "/members"])
    await add_permission(app.state.database, user, "volume", "update")
    assert await links(member) == ["/volumes", "/members", "/editors"]


async def test_action_to_add_needs_permission(app: FastAPI, member: AsyncClient, user: User) -> None:
    assert ">Add volume<" not in await read(member, "add")
    await add_permission(app.state.database, user, "volume", "create")
    assert ">Add volume<" in await read(member, "add")


async def test_staff_open_the_row_in_the_admin(app: FastAPI, member: AsyncClient, staff: User) -> None:
    for identity in ("volume", "writer"):  # the admin has no view of writers
        await add_permission(app.state.database, staff, identity, "get")
    async with signed_in_client(app, staff) as client:
        assert 'href="/admin/volume/details/1"' in await read(client, at="/volumes/emma-1")
        assert "Search the admin for “emma”" in await read(client, "emma")
        for path in ("/volumes/emma-draft", "/volumes", "/volumes/nothing", "/writers/1", "/notes/1_0"):
            assert "/details/" not in await read(client, at=path), path
    assert "/admin" not in await read(member, at="/volumes/emma-1")


async def test_staff_without_permissions_cannot_search_the_admin(app: FastAPI) -> None:
    async with signed_in_client(app, await make_user(app.state.database, is_staff=True)) as client:
        assert "Search the admin" not in await read(client, "emma")


async def test_page_works_without_javascript(client: AsyncClient) -> None:
    page = await read(client, "emma", Accept="text/html")
    assert '<form method="get" action="/search"' in page
    assert [text in page for text in ('href="/volumes/emma-7"', 'id="palette-open" href="/search"')] == [True, True]
    assert "Nothing matches “zzz”" in await read(client, "zzz", Accept="text/html")


@pytest.mark.database("sqlite", "postgresql")
async def test_any_query_is_valid(member: AsyncClient) -> None:
    for query in ("\0", "'\"%_", "x" * 5_000, "😀", "-", "emma or"):
        await read(member, query)


async def test_searches_of_a_client_are_limited(client: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages.SEARCHES_PER_CLIENT, "limit", 1)
    assert [(await client.get("/search")).status_code for _ in range(2)] == [200, 429]
