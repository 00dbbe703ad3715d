"""Server-sent events of an answer, for pages and API clients."""

import asyncio
import json as json_module
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.types import Message

from opportune.contrib.answers import Answer, AnswerStatus, AnswerStream
from opportune.contrib.answers.engine.live import LiveAnswer
from opportune.contrib.answers.engine.records import AnswerProgress
from opportune.web import EventStream, MarkdownBlocks

TEXT = "First *part*.\n\nSecond, with `code`.\n\n```python\nprint(1)\n```\n\n- one\n- two\n\nEnd: <script>x</script> 😀"
DONE = AnswerStatus.DONE
ERROR = {"answer_id": 7, "status": "failed", "code": "timeout", "message": "The model took too long."}


def make_answer(text: str = "", status: AnswerStatus = AnswerStatus.STREAMING, **values: Any) -> Answer:
    return Answer(id=7, text=text, status=status, **values)


def make_live_answer(text: str = "", status: AnswerStatus = AnswerStatus.STREAMING, **values: Any) -> LiveAnswer:
    return LiveAnswer(AnswerProgress.from_answer(make_answer(text, status, **values)))


async def render(message: Answer) -> str:
    return f"<article>{message.status}</article>"


@dataclass
class Event:
    """A server-sent event, parsed as in a browser. One without name and data was a comment."""

    event: str = ""
    data: str = ""
    id: str = ""

    @classmethod
    def of(cls, sent: bytes) -> "Event":
        lines = sent.decode().removesuffix("\n\n").split("\n")
        fields = [line.split(": ", 1) for line in lines if not line.startswith(":")]
        data = "\n".join(value for name, value in fields if name == "data")
        return cls(**{**{name: value for name, value in fields if name != "data"}, "data": data})

    def __getitem__(self, name: str) -> object:
        return json_module.loads(self.data)[name]


async def read_html_events(live: LiveAnswer, offset: int = 0) -> list[Event]:
    return [Event.of(sent) async for sent in AnswerStream(live, offset, 7).html(render, "m")]


async def read_json_events(live: LiveAnswer, offset: int = 0) -> list[Event]:
    return [Event.of(sent) async for sent in AnswerStream(live, offset, 7).json()]


@pytest.mark.parametrize(
    ("values", "offset", "names", "last"),
    [
        ({"text": TEXT, "status": DONE}, len(TEXT), ["status", "done"], {"status": "done"}),
        (
            {"text": "half", "status": AnswerStatus.FAILED, "error_code": "timeout", "error": ERROR["message"]},
            *(0, ["status", "delta", "error"], ERROR),
        ),
        ({"text": "So.", "status": DONE, "reasoning": "Hm."}, 0, ["status", "status", "delta", "done"], {}),
    ],
    ids=["done, resumed", "failed", "with reasoning"],
)
async def test_ended_answer_ends(values: dict[str, Any], offset: int, names: list[str], last: dict[str, Any]) -> None:
    events = await read_json_events(make_live_answer(**values), offset)
    assert [event.event for event in events] == names
    assert "".join(str(event["text"]) for event in events if event.event == "delta") == values["text"][offset:]
    assert events[-1].id == f"7:{len(values['text'])}"
    assert {name: events[-1][name] for name in last} == last
    reasoning = [event["reasoning"] for event in events[:-1] if "reasoning" in json_module.loads(event.data)]
    assert "".join(map(str, reasoning)) == values.get("reasoning", ""), "reasoning is sent again after a reconnection"


async def test_growing_answer_links_citations() -> None:
    sources = [{"title": "Dune", "url": "/books/1"}]
    live = make_live_answer("So it is [1] and [9](javascript:x), [1](https://evil.example/)", sources=sources)
    stream = AnswerStream(live, 0, 7).html(render, "m")
    (_, opened), *_ = json_module.loads(Event.of(await anext(stream)).data)
    link = '<a class="citation" href="/books/1" title="Dune" rel="noopener noreferrer nofollow">[1]</a>'
    assert opened.count(link) == 2
    assert opened.count("<a ") == 2, "links written by the model are replaced"
    await stream.aclose()
    live.finish(make_answer("So it is [1]", AnswerStatus.DONE, sources=sources))
    assert (await read_json_events(live))[-1]["sources"] == sources


async def test_last_calls_are_sent_before_the_end() -> None:
    live = make_live_answer()
    events = AnswerStream(live, 0, 7).json()
    await anext(events)
    live.finish(make_answer(status=DONE, tool_runs=[{"name": "find_book", "result": "Dune"}]))
    assert Event.of(await anext(events))["tools"] == [{"name": "find_book", "result": "Dune"}]


async def test_call_comes_after_the_text_before_it() -> None:
    live = make_live_answer()
    events = AnswerStream(live, 0, 7).json()
    await anext(events)
    live.update_tool_runs([{"name": "find_book", "at": 8, "result": None}])
    live.add("I lo")
    assert Event.of(await anext(events)).id == "7:4"
    live.add("ok. Found it.")
    received = [Event.of(await anext(events)) for _ in range(3)]
    assert [(event.event, event.id) for event in received] == [("delta", "7:8"), ("status", "7:8"), ("delta", "7:17")]


@pytest.mark.parametrize("kind", ["html", "json"])
async def test_disconnected_viewer_leaves_silent_answer(kind: str) -> None:
    connected, disconnected = asyncio.Event(), asyncio.Event()

    async def receive() -> Message:
        await disconnected.wait()
        return {"type": "http.disconnect"}

    async def send(_message: Message) -> None:
        pass

    @asynccontextmanager
    async def view() -> AsyncIterator[LiveAnswer]:
        connected.set()
        try:
            yield make_live_answer()
        finally:
            released.append(kind)

    released = list[str]()
    stream = AnswerStream(view(), 0, 7)
    response = EventStream(stream.json() if kind == "json" else stream.html(render))
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        group.create_task(response({"type": "http", "asgi": {}}, receive, send))
        await connected.wait()
        disconnected.set()
    assert released == [kind]


async def test_silent_answer_sends_pings_to_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opportune.contrib.answers.engine.live.HEARTBEAT_INTERVAL_SECONDS", 0.01)
    live = make_live_answer("Half")
    events = AnswerStream(live, 0, 7).html(render, "m")
    assert [Event.of(await anext(events)).event for _ in range(3)] == ["grow", "ping", "ping"]
    live.add(" and half")
    grown = Event.of(await anext(events))
    assert grown.data == '[[7," and half</p>\\n"]]'
    assert grown.id == "7:13"


async def test_stopping_process_closes_streams_without_end() -> None:
    live = make_live_answer()
    live.close()
    assert [event.event for event in await read_json_events(live)] == ["status"]


async def test_page_stream_escapes_text_and_ends_with_the_answer() -> None:
    events = await read_html_events(make_live_answer(f"<hx-partial hx-target='body'>{TEXT}", AnswerStatus.DONE))
    assert not re.search("<script|<hx-partial", str(events[0].data))
    assert events[-2].data == '<hx-partial hx-target="#m7" hx-swap="outerHTML"><article>done</article></hx-partial>'
    assert (events[-1].event, events[-1].data) == ("done", "done")
    assert [event.event for event in events].count("done") == 1


def apply_event(page: dict[str, str], event: Event) -> None:
    assert event.event == "grow"
    *finished, (keep, read_html_events) = json_module.loads(str(event.data))
    for prefix_length, block in finished:
        page["blocks"] += first_units(page["open"], prefix_length) + block
        page["open"] = ""
    page["open"] = first_units(page["open"], keep) + read_html_events


def first_units(text: str, units: int) -> str:
    """Return the length in UTF-16 units, as JavaScript counts."""
    return text.encode("utf-16-le")[: 2 * units].decode("utf-16-le")


@settings(max_examples=15, deadline=None)
@given(cuts=st.lists(st.integers(0, len(TEXT)), max_size=12))
def test_resumed_stream_has_every_block_once(cuts: list[int]) -> None:
    page = {"blocks": "", "open": ""}
    offset = 0
    for cut in [*sorted(cuts), len(TEXT)]:
        event = asyncio.run(read_first_event(TEXT[:cut], offset))
        if event:
            apply_event(page, event)
            offset = int(str(event.id).split(":")[1])
    render_article = MarkdownBlocks.of(TEXT)
    assert page == {"blocks": "".join(render_article.frozen), "open": str(render_article.open)}


async def read_first_event(text: str, offset: int) -> Event | None:
    live = make_live_answer(text)
    live.close()
    async for event in AnswerStream(live, offset, 7).html(render, "m"):
        return Event.of(event)
    return None
