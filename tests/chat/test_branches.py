"""Edited questions and repeated answers: branches of a conversation."""

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import delete
from sqlmodel import col

from app.chat import service
from app.chat.conversation_view import view_conversation
from app.chat.conversations import Conversations
from app.chat.models import Message, Role
from app.chat.prompt import SYSTEM_PROMPT
from app.chat.schemas import MessageCreate
from opportune.contrib import llm
from opportune.contrib.answers import AnswerManager
from opportune.contrib.llm import FakeProvider
from opportune.testing import signed_in_client
from tests.chat.conversations import API, HTMX, ask, find_path, read_messages, start_conversation, wait_until_ended


async def read_texts(manager: AnswerManager, owner_id: int, conversation_id: int) -> list[str]:
    return [message.text for message in await read_messages(manager, owner_id, conversation_id)]


@pytest.mark.database("postgresql")
async def test_edited_question_starts_a_branch(manager: AnswerManager, owner_id: int, model: FakeProvider) -> None:
    async def ask_next(content: str, **position: Message | int) -> tuple[Message, Message]:
        model.script = [f"To {content}"]
        created = await service.ask(manager, owner_id, conversation_id, MessageCreate(content=content), **position)  # type: ignore[arg-type]
        await wait_until_ended(manager, created[1])
        return created

    model.script = ["To One?"]
    conversation_id, first = await start_conversation(manager, owner_id, "One?")
    await wait_until_ended(manager, first)
    second_question, second_answer = await ask_next("Two?")
    edited_question, _ = await ask_next("Two, but better?", replaced_question=second_question)
    await ask_next("Three?")
    assert [turn.content for turn in model.received[-1]] == [
        SYSTEM_PROMPT,
        *("One?", "To One?", "Two, but better?", "To Two, but better?", "Three?"),
    ]
    expected_texts = ["One?", "To One?", "Two, but better?", "To Two, but better?", "Three?", "To Three?"]
    assert await read_texts(manager, owner_id, conversation_id) == expected_texts
    view = await view_conversation(manager, owner_id, conversation_id)
    assert view
    assert view.branches[edited_question.id] == [second_question.id, edited_question.id]
    async with manager.database.writer() as session:
        await Conversations(session, owner_id).select_branch(second_question)
    assert await read_texts(manager, owner_id, conversation_id) == ["One?", "To One?", "Two?", "To Two?"]
    async with manager.database.writer() as session:
        await Conversations(session, owner_id).select_branch(edited_question)
    assert await read_texts(manager, owner_id, conversation_id) == expected_texts, "the last viewed branch is current"
    await ask_next("After two?", last_seen_id=second_answer.id)  # from a page with the other branch
    assert (await read_texts(manager, owner_id, conversation_id))[2:5] == ["Two?", "To Two?", "After two?"]


async def test_branch_links_with_and_without_htmx(user_client: AsyncClient, fake_llm: FakeProvider) -> None:
    fake_llm.script = ["First <answer>.", llm.LlmError("timeout", "Too slow.")]
    page = (await user_client.post("/chat", data={"content": "One?"})).headers["location"]
    await user_client.get(f"{page}/stream")
    html = (await user_client.get(page)).text
    edit, continuation = (find_path(html, f"/chat/messages/N/{action}") for action in ("edit", "continue"))
    assert find_path(html, "/chat/messages/N/retry")
    assert "chat-branches" not in html
    fake_llm.script = [" Its end."]
    assert (await user_client.post(continuation)).status_code == 303
    await user_client.get(f"{page}/stream")
    assert "First &lt;answer&gt;. Its end." in (await user_client.get(page)).text
    fake_llm.script = ["Second answer."]
    assert (await user_client.post(edit, data={"content": "Other?"})).headers["location"].startswith(f"{page}#m")
    await user_client.get(f"{page}/stream")
    html = (await user_client.get(page)).text
    assert "Other?" in html
    assert "One?</div>" not in html
    assert "2/2" in html
    response = await user_client.post(find_path(html, "/chat/messages/N/show"), headers=HTMX)
    assert "One?</div>" in response.text
    assert "1/2" in response.text
    assert "<html" not in response.text
    refused = await user_client.post(edit, data={"content": " "}, headers=HTMX)
    assert (refused.status_code, 'hx-target="#messages"' in refused.text) == (422, False)


async def test_api_edits_retries_and_lists_branches(app: FastAPI, fake_llm: FakeProvider) -> None:
    async with signed_in_client(app) as client, signed_in_client(app) as other_client:
        created = await ask(client, "One?")
        url = created["url"]
        question, answer = (f"{url}/messages/{created[name]['id']}" for name in ("message", "answer"))
        for path, body in ((f"{question}/edit", {"content": "x"}), (f"{answer}/retry", {}), (f"{question}/show", {})):
            assert (await other_client.post(path, json=body)).status_code == 404
            assert (await client.post(path.replace(url, f"{API}/999"), json=body)).status_code == 404
        assert (await client.post(f"{question}/retry")).status_code == 404, "questions cannot be retried"
        assert (await client.post(f"{answer}/edit", json={"content": "x"})).status_code == 404
        assert (await client.post(f"{question}/edit", json={"content": ""})).status_code == 422
        edited = await ask(client, "Two?", f"{question}/edit")
        again = (await client.post(f"{answer}/retry")).json()
        await client.get(again["stream_url"])
        assert again["message"]["text"] == "One?"
        messages = (await client.get(url)).json()["messages"]
        assert [message["branches"] for message in messages] == [
            [created["message"]["id"], edited["message"]["id"]],
            [created["answer"]["id"], again["answer"]["id"]],
        ]
        assert (await client.post(f"{url}/messages/{edited['answer']['id']}/show")).status_code == 204
        assert (await client.get(url)).json()["messages"][0]["text"] == "Two?"
        complete_answer = await client.post(f"{url}/messages/{again['answer']['id']}/continue")
        assert (complete_answer.status_code, complete_answer.json()["status"], complete_answer.json()["role"]) == (
            202,
            "done",
            Role.ASSISTANT,
        )
        async with app.state.database.writer() as session:  # as staff do
            await session.execute(delete(Message).where(col(Message.question) == "Two?"))
        edited_answer = f"{url}/messages/{edited['answer']['id']}"
        for action in ("retry", "continue"):
            assert (await client.post(f"{edited_answer}/{action}")).status_code == 404, action
