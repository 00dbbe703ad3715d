"""Questions about an entry, answered by a language model, and its tools."""

import asyncio

import pytest
from fastapi import FastAPI

from opportune.contrib.llm import FakeProvider, ToolCall
from opportune.contrib.tools import toolbox_of
from opportune.testing import make_user, signed_in_client

pytestmark = pytest.mark.usefixtures("small_index")


async def test_question_without_javascript_is_answered(app: FastAPI, fake_llm: FakeProvider) -> None:
    fake_llm.script = ["A *scripted* answer."]
    async with signed_in_client(app) as client:
        response = await client.post("/pydocs?slug=os.path.join", data={"question": "What <for>?"})
        answer = await app.state.answers.newest("pydocs:os.path.join", 1)
        async with app.state.answers.view(answer.answer) as live, asyncio.timeout(30):
            async for _ in live.follow(0):
                pass
        page = (await client.get(response.headers["location"])).text
    assert response.headers["location"] == "/pydocs/os.path.join"
    assert "What &lt;for&gt;?" in page
    assert "A <em>scripted</em> answer." in page
    assert "Join one or more path segments &amp; more" not in fake_llm.received[0][0].content
    assert "Join one or more path segments & more" in fake_llm.received[0][0].content
    async with signed_in_client(app, await make_user(app.state.database)) as stranger:
        assert "scripted" not in (await stranger.get("/pydocs/os.path.join")).text


@pytest.mark.parametrize(("slug", "question", "status"), [("os.nothing", "Why?", 404), ("os", " ", 422)])
async def test_empty_or_misdirected_question_is_refused(app: FastAPI, slug: str, question: str, status: int) -> None:
    async with signed_in_client(app) as client:
        assert (await client.post(f"/pydocs?slug={slug}", data={"question": question})).status_code == status


async def test_refused_second_question_stays_in_the_form(app: FastAPI, fake_llm: FakeProvider) -> None:
    fake_llm.script = ["So", may_finish := asyncio.Event()]
    async with signed_in_client(app) as client:
        await client.post("/pydocs?slug=os.path.join", data={"question": "One?"})
        response = await client.post("/pydocs?slug=os.path.join", data={"question": "Two?"})
        may_finish.set()
    assert response.status_code == 409
    assert 'value="Two?"' in response.text


async def test_model_searches_and_reads_entries(app: FastAPI) -> None:
    toolbox = toolbox_of(app)
    result = await toolbox.call(ToolCall("call_0", "search_python_docs", '{"words": "os.path"}'), None)
    assert result.sources[0].url == "/pydocs/os.path"
    entry = await toolbox.call(ToolCall("call_1", "read_python_docs", '{"slug": "os.path"}'), None)
    assert [source.title for source in entry.sources] == ["os.path"]
    missing = await toolbox.call(ToolCall("call_2", "read_python_docs", '{"slug": "none"}'), None)
    assert missing.is_error
