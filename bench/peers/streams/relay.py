"""A relay on Starlette that forwards each word. It stores nothing and drops disconnected clients.

The words of the benchmark's model contain the time they were sent.
"""

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

WORD_INTERVAL_SECONDS = 0.1
WORD = re.compile(rb"w(\d+)t(\d+)(?=[ \\<])")  # followed by a space, a JSON line break or a tag
WORDS_PER_PARAGRAPH = 40


def word(number: int) -> str:
    """Return a word with its number and the microsecond it is sent, by a clock that all processes share."""
    return f"w{number}t{time.monotonic_ns() // 1000}" + (" " if (number + 1) % WORDS_PER_PARAGRAPH else "\n\n")


async def forward_words(words: int) -> AsyncIterator[str]:
    for number in range(words):
        await asyncio.sleep(WORD_INTERVAL_SECONDS)
        yield f"event: delta\nid: {number}\ndata: {json.dumps({'text': word(number)})}\n\n"
    yield "event: done\ndata: {}\n\n"


async def stream(request: Request) -> Response:
    return StreamingResponse(forward_words(int(request.query_params["words"])), media_type="text/event-stream")


async def live(_request: Request) -> Response:
    return PlainTextResponse("ok")


app = Starlette(routes=[Route("/stream", stream), Route("/health/live", live)])
