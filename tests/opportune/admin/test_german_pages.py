"""A site in German: its pages and e-mails contain no English text that a catalogue translates."""

import re
from functools import cache
from html import unescape
from pathlib import Path

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient, Response

from opportune.admin.models import AuditEntry
from opportune.i18n import catalogues
from opportune.i18n.catalogue_compiler import messages_of, parse_catalogue, texts
from opportune.testing.factories import PASSWORD
from tests.opportune.admin.test_translated_labels import app, german
from tests.opportune.stored_rows import add_rows

__all__ = ["app", "german"]
pytestmark = pytest.mark.usefixtures("german")
DE = {"Accept-Language": "de"}
PAGES = (
    "/lamps /lamps?q=none /lamps?mood=unknown /lamps/new /lamps/1 /lamps/1/edit /lamps/1/delete /nothing"
    " /accounts/profile /accounts/password /accounts/sessions /accounts/tokens /accounts/data /accounts/events"
)
ADMIN_PAGES = (
    " lamp/list lamp/list?mood=warm lamp/create lamp/edit/1 lamp/details/1 lamp/history/1 lamp/delete?pks=1"
    " lamp/import lamp/edit/99 user/list user/create user/edit/1 group/list group/create job/list audit-entry/list"
    " status operations operations/backups operations/doctor operations/settings cache llm llm/provider appearance"
    " arrange-overview search?q=sun"
)
UNREAD = re.compile(r"(?s)<(script|style|code|pre|datalist)\b.*?</\1>|<[^>]+ (dir=\"auto\"|lang=\"en\")[^>]*>[^<]*")
"""Code, and texts that users wrote."""
PLACEHOLDER, WORDS = re.compile(r"%\(\w+\)s"), re.compile(r"[^\W\d_]{2}.*\W[^\W\d_]{2}")
READ = re.compile(r">([^<>]+)<|\s(?:title|aria-label|placeholder|alt)=\"([^\"]+)\"")


@cache
def english() -> re.Pattern[str]:
    """Return a pattern of texts that are different in German. Texts with placeholders have at least two words."""
    originals, translations = set(), set()
    for folder in catalogues.locale_folders():
        path = catalogues.catalogue_path(Path(folder), "de")
        for message in messages_of(parse_catalogue(path.read_bytes())):
            if any(texts(message.string)) and not message.fuzzy and message.context is None:
                originals |= {*texts(message.id)}
                translations |= {*texts(message.string)}
    parts = [PLACEHOLDER.split(text) for text in originals - translations]
    patterns = (".+?".join(map(re.escape, part)) for part in parts if len(part) == 1 or WORDS.search(" ".join(part)))
    return re.compile("|".join(patterns))


def english_in(text: str) -> list[str]:
    parts = {unescape(" ".join("".join(match).split())) for match in READ.findall(UNREAD.sub("><", text))}
    return sorted(filter(english().fullmatch, parts))


def english_on(pages: list[Response]) -> set[str]:
    """Return the English texts of pages, each with the URL of a page."""
    assert [page.url for page in pages if page.status_code >= 500] == []
    addresses = {text: page.url.raw_path.decode() for page in pages for text in english_in(page.text)}
    return {f"{text} on {url}" for text, url in addresses.items()}


async def test_pages_are_german(client: AsyncClient, superuser_client: AsyncClient) -> None:
    pages = [await superuser_client.get(path, headers=DE) for path in PAGES.split()]
    pages.append(await superuser_client.post("/lamps/new", data={"height": "high", "mood": "x"}, headers=DE))
    pages.append(await client.get("/mailbox", headers=DE))
    assert english_on(pages) == set()


async def test_pages_of_the_admin_are_german(superuser_client: AsyncClient) -> None:
    await superuser_client.post("/accounts/confirm", data={"current_password": PASSWORD})
    pages = [await superuser_client.get(f"/admin/{path}", headers=DE) for path in ADMIN_PAGES.split(" ")]
    data = {"height": "high", "mood": "x", "save": "Save"}
    pages.append(await superuser_client.post("/admin/lamp/create", data=data, headers=DE))
    pages.append(await superuser_client.post("/admin/lamp/action/switch-on?pks=1", headers=DE))
    assert english_on(pages) == set()


@pytest.mark.parametrize("path", ["lamp/history/1", "audit-entry/list?channel=tool", "audit-entry/details/1"])
async def test_channels_are_german(app: FastAPI, superuser_client: AsyncClient, path: str) -> None:
    await add_rows(app, AuditEntry(action="create", channel="tool create_lamp", identity="lamp", row_id="1"))
    assert "Werkzeug create_lamp" in (await superuser_client.get(f"/admin/{path}", headers=DE)).text
