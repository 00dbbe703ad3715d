"""Pages of docs/llm-pages.md."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Literal

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from opportune.config.settings import Settings
from opportune.contrib.llm import Done, FakeProvider, LlmError, ToolCall
from opportune.contrib.llm.media.fake import PIXEL
from opportune.feature import Feature
from opportune.features import llm
from opportune.project.installed import installed_names
from opportune.testing import signed_in_client
from opportune.testing.app import create_test_app
from tests.opportune.contrib.answers.waiting_answers import wait_for_tasks
from tests.opportune.contrib.knowledge.shelves import make_collection, make_document
from tests.opportune.contrib.llm.books import add_current_book
from tests.opportune.guides import read_guide, run_code
from tests.opportune.page_templates import add_templates
from tests.opportune.site_with import site_with

GUIDE = read_guide("llm-pages.md")
TIMEOUT_SECONDS = 30
HTMX = {"HX-Request": "true", "HX-Request-Type": "partial"}
CARD = {"file": ("card.txt", b"Ada Lovelace, 030 1815")}
ANSWER = ['{"name": "Ada', ' Lovelace", "pho', 'ne": "030 1815"}']
OpenedPage = tuple[FastAPI, AsyncClient, FakeProvider]
OpenPage = Callable[..., AbstractAsyncContextManager[OpenedPage]]


def load_page(section: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    text = re.split(r"\n##+ ", GUIDE.partition(f"### {section}\n")[2])[0]
    code, template = re.findall(r"^```(?:python|jinja)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    names = run_code(code)
    name = re.match(r"\{# templates/(.+?) #\}", template)
    assert name
    add_templates(monkeypatch, {name[1]: template})
    return names


@pytest.fixture
def open_page(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> OpenPage:
    @asynccontextmanager
    async def open_site(section: str, name: str, *script: Sequence[Any]) -> AsyncIterator[OpenedPage]:
        page = load_page(section, monkeypatch)[name]
        feature = page if isinstance(page, Feature) else Feature("page", "A page.", pages=page)
        async with site_with(feature, settings, others=installed_names()) as app:
            app.state.llm.provider = model = FakeProvider.in_turn(*script)
            async with signed_in_client(app) as client:
                yield app, client, model

    return open_site


async def ask(app: FastAPI, client: AsyncClient, path: str, question: str) -> str:
    response = await client.post(path, data={"question": question})
    assert (response.status_code, response.headers["location"]) == (303, path)
    await wait_for_tasks(app.state.answers)
    return (await client.get(path)).text


async def test_upload_is_summarised(open_page: OpenPage) -> None:
    async with open_page("Summarise an upload", "summaries", ["Five points."]) as (app, client, model):
        assert 'type="file"' in (await client.get("/summary")).text
        response = await client.post("/summary", files={"file": ("letter.txt", b"word " * 2_000)})
        await wait_for_tasks(app.state.answers)
        page = (await client.get(response.headers["location"])).text
        refused = await client.post("/summary", files={"file": ("letter.bin", b"\0")}, headers=HTMX)
    assert all(words in page for words in ("Five points.", "Only the first"))
    assert "word word" in model.received[0][-1].content
    assert (refused.status_code, refused.text.count("letter.bin cannot be read")) == (422, 1)


async def test_chat_about_a_row_knows_earlier_answers(open_page: OpenPage, monkeypatch: pytest.MonkeyPatch) -> None:
    add_current_book(monkeypatch)
    scripts = ["It has waves."], ["Blue ones."]
    async with open_page("Chat about a row", "chats", *scripts) as (app, client, model):
        await ask(app, client, "/books/1/chat", "What is in it?")
        page = await ask(app, client, "/books/1/chat", "Which ones?")
        assert (await client.get("/books/2/chat")).text.count("<article") == 0
        refused = await client.post("/books/1/chat", data={"question": ""})
    system, *turns = [message.content for message in model.received[1]]
    assert system == "Answer from this book alone: Waves without a shore."
    assert turns == ["What is in it?", "It has waves.", "Which ones?"]
    assert page.index("Blue ones.") < page.index("It has waves.")
    assert refused.status_code == 422


async def test_search_cites_documents(open_page: OpenPage) -> None:
    call = ToolCall("call_0", "search_knowledge", '{"words": "loan"}')
    scripts = [Done(tool_calls=(call,))], ["Four weeks [1]."]
    async with open_page("Search with citations", "help_pages", *scripts) as (app, client, model):
        collection = await make_collection(app.state.database, is_site=True)
        document = await make_document(app.state.database, collection.id, "A loan lasts four weeks.")
        page = await ask(app, client, "/help", "How long is a loan?")
    assert "A loan lasts four weeks." in model.received[1][-1].content
    assert model.offered[0] == ["search_knowledge"]
    assert re.search(rf'<a [^>]*href="/knowledge/documents/{document.id}\?passage=1#passage"', page)


class Pause(asyncio.Event):
    """A step of a script that tells when it is reached."""

    def __init__(self) -> None:
        super().__init__()
        self.reached = asyncio.Event()

    async def wait(self) -> Literal[True]:
        self.reached.set()
        return await super().wait()


async def test_long_job_shows_its_progress(open_page: OpenPage) -> None:
    pause, call = Pause(), ToolCall("call_0", "read_chapters", "{}")
    scripts = [Done(tool_calls=(call,))], ["Calm."], [pause, "Storm."], ["Home."], ["A sea story."]
    async with open_page("A long job with progress", "digests", *scripts) as (app, client, model):
        await ask(app, client, "/digest", "What is it about?")
        async with asyncio.timeout(TIMEOUT_SECONDS):
            working = asyncio.create_task(app.state.jobs.worker.drain())
            await pause.reached.wait()
            assert " of 3: chapter " in (await client.get("/digest")).text
            pause.set()
            await working
        await app.state.answers.engine.continue_released()
        await wait_for_tasks(app.state.answers)
        assert "A sea story." in (await client.get("/digest")).text
    assert "Calm. Storm. Home." in model.received[-1][-1].content


async def test_assistant_runs_an_allowed_tool(open_page: OpenPage) -> None:
    call = ToolCall("call_0", "borrow_book", '{"title": "Dune"}')
    scripts = [Done(tool_calls=(call,))], ["Enjoy it."]
    async with open_page("An assistant with tools", "desks", *scripts) as (app, client, model):
        assert "Allow" in (await ask(app, client, "/desk", "Lend me Dune."))
        newest = await app.state.answers.newest("desk", 1)
        await client.post(f"/answers/{newest.answer.id}/approve", data={"call": "0"})
        await wait_for_tasks(app.state.answers)
        assert "Enjoy it." in (await client.get("/desk")).text
    assert "Dune is yours until 24 December." in model.received[1][-1].content


@pytest.fixture
async def app(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FastAPI]:
    names = load_page("Fill a form", monkeypatch)
    app = create_test_app(settings, [llm, Feature("cards", "Cards.", pages=names["cards"])])
    async with app.router.lifespan_context(app):
        yield app


async def read_card(client: AsyncClient, files: Any = None, **headers: str) -> tuple[int, str]:
    response = await client.post("/cards/read", files=files or CARD, headers=headers)
    return response.status_code, response.text


async def test_form_is_filled_by_a_page_or_by_events(client: AsyncClient, fake_llm: FakeProvider) -> None:
    fake_llm.script = ANSWER
    status, html = await read_card(client)
    assert (status, html.lstrip()[:15]) == (200, "<!doctype html>")
    assert 'value="Ada Lovelace"' in html
    assert 'value="030 1815"' in html
    assert "Ada Lovelace, 030 1815" in fake_llm.received[0][-1].content
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


async def test_photo_needs_a_model_that_sees(client: AsyncClient, fake_llm: FakeProvider) -> None:
    photo = {"file": ("card.png", PIXEL, "image/png")}
    status, html = await read_card(client, photo)
    assert (status, fake_llm.received) == (503, [])
    assert "Scripted cannot see pictures. Choose a model that can." in html
    fake_llm.sees_images, fake_llm.script = True, ANSWER
    assert "Ada Lovelace" in (await read_card(client, photo))[1]
    assert len(fake_llm.received[0][-1].pictures) == 1
