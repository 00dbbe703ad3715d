"""Pages of docs/llm-pages.md."""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from playwright.async_api import FilePayload, Page, expect

from opportune.config.settings import Settings
from opportune.contrib.llm import FakeProvider, LlmError
from opportune.contrib.llm.media.fake import PIXEL
from opportune.feature import Feature
from opportune.features import llm
from opportune.project.layout import PROJECT
from opportune.testing.app import create_test_app
from tests.opportune.page_templates import add_templates

GUIDE = (PROJECT / "docs" / "llm-pages.md").read_text(encoding="utf-8")
HTMX = {"HX-Request": "true", "HX-Request-Type": "partial"}
CARD = {"file": ("card.txt", b"Ada Lovelace, 030 1815")}
ANSWER = ['{"name": "Ada', ' Lovelace", "pho', 'ne": "030 1815"}']


def blocks(section: str) -> tuple[str, str]:
    """Return code and template of a section."""
    text = GUIDE.partition(f"## {section}\n")[2].partition("\n## ")[0]
    code, template = (
        re.search(rf"^```{name}\n(.*?)^```", text, re.DOTALL | re.MULTILINE) for name in ("python", "jinja")
    )
    assert code
    return code[1], template[1] if template else ""


def load_page(monkeypatch: pytest.MonkeyPatch, section: str) -> dict[str, Any]:
    """Run the code of a section, and add its template."""
    names: dict[str, Any] = {}
    code, template = blocks(section)
    exec(code, names)  # noqa: S102 - code of the guide
    if name := re.match(r"\{# templates/(.+?) #\}", template):
        add_templates(monkeypatch, {name[1]: template})
    return names


@pytest.fixture
async def app(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FastAPI]:
    names = load_page(monkeypatch, "A form that fills")
    app = create_test_app(settings, [llm, Feature("cards", "Cards.", pages=names["cards"])])
    async with app.router.lifespan_context(app):
        yield app


async def read_card(client: AsyncClient, files: Any = None, **headers: str) -> tuple[int, str]:
    response = await client.post("/cards/read", files=files or CARD, headers=headers)
    return response.status_code, response.text


async def test_form_is_filled_without_javascript(client: AsyncClient, fake_llm: FakeProvider) -> None:
    fake_llm.script = ANSWER
    status, html = await read_card(client)
    assert status == 200
    assert html.lstrip().startswith("<!doctype html>")
    assert 'value="Ada Lovelace"' in html
    assert 'value="030 1815"' in html
    assert "Ada Lovelace, 030 1815" in fake_llm.received[0][-1].content


async def test_form_is_filled_by_events(client: AsyncClient, fake_llm: FakeProvider) -> None:
    fake_llm.script = ANSWER
    _, events = await read_card(client, **HTMX)
    *_, last, done, rest = events.split("\n\n")
    assert 'value="Ada Lovelace"' in last
    assert "<!doctype" not in events
    assert (done, rest) == ("event: done\ndata: done", "")


@pytest.mark.parametrize("headers", [{}, HTMX])
async def test_error_keeps_the_fields(client: AsyncClient, fake_llm: FakeProvider, headers: dict[str, str]) -> None:
    fake_llm.script = [ANSWER[0], LlmError("timeout", "The model took <too> long.")]
    _, html = await read_card(client, **headers)
    assert 'value="Ada"' in html
    assert "The model took &lt;too&gt; long." in html


async def test_answers_that_stay_invalid_are_explained(client: AsyncClient, fake_llm: FakeProvider) -> None:
    fake_llm.script = ["I cannot."]
    _, html = await read_card(client)
    assert "did not have the requested form" in html


async def test_photo_needs_a_model_that_sees(client: AsyncClient, fake_llm: FakeProvider) -> None:
    photo = {"file": ("card.png", PIXEL, "image/png")}
    status, html = await read_card(client, photo)
    assert (status, fake_llm.received) == (503, [])
    assert "Scripted cannot see pictures. Choose a model that can." in html
    fake_llm.sees_images, fake_llm.script = True, ANSWER
    assert "Ada Lovelace" in (await read_card(client, photo))[1]
    assert len(fake_llm.received[0][-1].pictures) == 1


async def test_unreadable_file_is_refused(client: AsyncClient, fake_llm: FakeProvider) -> None:
    assert (await read_card(client, {"file": ("card.bin", b"\0")}))[0] == 422
    assert fake_llm.received == []


async def test_browser_shows_the_form_filling(page: Page, fake_llm: FakeProvider) -> None:
    may_continue = asyncio.Event()
    fake_llm.script = [ANSWER[0], may_continue, *ANSWER[1:]]
    await page.goto("/cards/new")
    await page.get_by_label("Card").set_input_files(FilePayload(name="card.txt", mimeType="text/plain", buffer=b"Ada"))
    await page.get_by_role("button", name="Read the card").click()
    await expect(page.get_by_label("Name")).to_have_value("Ada")
    await expect(page.get_by_role("button", name="Stop")).to_be_visible()
    may_continue.set()
    await expect(page.get_by_label("Name")).to_have_value("Ada Lovelace")
    await expect(page.get_by_label("Phone")).to_have_value("030 1815")
    await expect(page.get_by_text("Answer finished")).to_be_attached()
    await expect(page.get_by_role("button", name="Stop")).to_be_hidden()
