"""Each route of the chat finds only rows of the user who is signed in."""

import re

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from httpx2 import AsyncClient

from app.chat.feature import chat
from opportune.accounts import User
from opportune.contrib.assistants import Prompt
from opportune.contrib.llm import FakeProvider
from opportune.testing import Make, signed_in_client
from opportune.web.routing.api_router import router_list
from tests.chat.conversations import API, ask

ROUTES = [
    (method, prefix + route.path)
    for prefix, routers in (("", chat.pages), ("/api/v1", chat.api))
    for router in router_list(routers)
    for route in router.routes
    if isinstance(route, APIRoute)
    for method in sorted(route.methods or ())
]
OF_ROWS = [(method, path) for method, path in ROUTES if "_id}" in path]
STREAM = "/chat/{conversation_id}/stream"
"""Page stream, which ends with an event. After a 404 htmx would reconnect."""


@pytest.fixture
async def ids(user_client: AsyncClient, user: User, make: Make, fake_llm: FakeProvider) -> dict[str, object]:
    """Parameters of paths, with the ids of rows of the user."""
    fake_llm.script = ["A scripted answer."]
    created = await ask(user_client, "Private?")
    conversation, answer = created["conversation"], created["answer"]["id"]
    opened = await user_client.post(f"/chat/messages/{answer}/document")
    return {
        "conversation_id": conversation,
        "message_id": answer,
        "document_id": opened.headers["location"].partition("document=")[2].partition("#")[0],
        "share_id": (await user_client.post(f"{API}/{conversation}/shares")).json()["id"],
        "prompt_id": (await make(Prompt, name="Epistle", text="Write.", owner_id=user.id)).id,
        "question_id": created["message"]["id"],
        "change": "pin",
        "kind": "md",
    }


def fill_in(path: str, ids: dict[str, object]) -> str:
    if path.endswith("/edit"):  # only questions can be edited
        path = path.replace("{message_id}", "{question_id}")
    return path.format(**ids)


async def test_rows_of_others_are_not_found(app: FastAPI, user_client: AsyncClient, ids: dict[str, object]) -> None:
    async with signed_in_client(app) as other:
        for method, path in OF_ROWS:
            response = await other.request(method, fill_in(path, ids))
            assert response.status_code == (200 if path == STREAM else 404), (method, path)
            assert "scripted" not in response.text
        for path in ("/chat", "/chat/prompts", "/chat/shared", API, f"{API}/folders", f"{API}/shares"):
            response = await other.get(path)
            assert response.status_code == 200
            assert not re.search("Private|Epistle", response.text), path
    for method, path in OF_ROWS:
        if method == "GET":
            assert (await user_client.get(fill_in(path, ids))).status_code != 404, path
