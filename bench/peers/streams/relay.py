"""A relay on Starlette that forwards each word. It stores nothing and drops disconnected clients."""

import asyncio
import json
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from bench.peers.streams.words import WORD_INTERVAL_SECONDS, word


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
