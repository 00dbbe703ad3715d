"""Conversations: list, titles, export and search."""

from datetime import date, timedelta

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from app.chat.chat_page import name_period
from app.chat.conversations import Conversations
from app.chat.models import Conversation
from opportune.accounts import User
from opportune.contrib.llm import FakeProvider
from opportune.db import utc_now
from opportune.testing import make_user, signed_in_client
from tests.chat.conversations import API, HTMX, ask, make_answer, make_conversation

DAY = date(2026, 3, 2)
TODAY, YESTERDAY = name_period(DAY, DAY), name_period(DAY - timedelta(1), DAY)
AGO = {"Two months ago": timedelta(days=62), "Two hours ago": timedelta(hours=2), "Just now": timedelta(0)}


@pytest.mark.parametrize(
    ("day", "period"),
    [
        (date(2026, 3, 20), "Today"),
        (date(2026, 3, 19), "Yesterday"),
        (date(2026, 3, 13), "Previous 7 days"),
        (date(2026, 3, 12), "This month"),
        (date(2026, 2, 28), "Feb 2026"),
        (date(2026, 3, 21), "Today"),
    ],
)
def test_days_have_relative_names(day: date, period: str) -> None:
    assert name_period(day, date(2026, 3, 20)) == period


async def test_list_has_local_dates(app: FastAPI, user_client: AsyncClient, user: User, fake_llm: FakeProvider) -> None:
    old = await make_conversation(app.state.database, user.id, 1)
    async with app.state.database.writer() as session:
        for title, ago in AGO.items():
            session.add(Conversation(owner_id=user.id, title=title, used_at=utc_now() - ago))
        (await session.get_one(Conversation, old)).used_at = utc_now() - timedelta(days=400)
    html = (await user_client.get("/chat")).text
    positions = [html.index(text) for text in (f">{TODAY}<", "Just now<", "Two months ago<", "A long conversation<")]
    assert positions == sorted(positions)
    for local_hour, day in ((0, YESTERDAY), (12, TODAY)):
        ahead = (local_hour - utc_now().hour + 11) % 24 - 11
        user_client.cookies.set("time_zone", f"Etc/GMT{-ahead:+}")  # direction marks are escaped
        html = (await user_client.get("/chat")).text
        assert html[: html.index("Two hours ago<")].count(f">{day}<"), local_hour
        assert (f">{YESTERDAY}<" in html) == (local_hour == 0)
    await ask(user_client, "Again?", f"{API}/{old}/messages")
    assert (await user_client.get(API)).json()["items"][0]["id"] == old, "used last"
    assert f">{TODAY}<" not in (await user_client.get("/chat?sort=title")).text


async def test_pages_and_api_rename_and_api_deletes(app: FastAPI, user: User) -> None:
    number = await make_conversation(app.state.database, user.id, 1)
    page, api = f"/chat/{number}", f"{API}/{number}"
    async with signed_in_client(app, user) as client, signed_in_client(app) as other_client:
        assert (await other_client.post(f"{page}/rename", data={"title": "Mine"})).status_code == 404
        assert (await other_client.patch(api, json={"title": "Mine"})).status_code == 404
        assert (await client.post(f"{page}/rename", data={"title": "<Whales>"})).headers["location"] == page
        assert "&lt;Whales&gt;</h1>" in (await client.get(page)).text
        part = await client.post(f"{page}/rename", data={"title": "Sharks"}, headers=HTMX)
        assert ("<html" in part.text, part.text.count("Sharks"), f'"#c{number}"' in part.text) == (False, 5, True)
        await client.post(f"{page}/rename", data={"title": "   "})
        assert (await client.get(api)).json()["title"] == "Sharks"
        assert (await client.patch(api, json={"title": "Rays"})).json()["title"] == "Rays"
        for body in ({"title": ""}, {"title": "x" * 101}):
            assert (await client.patch(api, json=body)).status_code == 422
        assert [(await http.delete(api)).status_code for http in (other_client, client, client)] == [404, 204, 404]


async def test_conversation_exports_markdown_and_json(app: FastAPI, user: User) -> None:
    number = await make_conversation(app.state.database, user.id, 1)
    async with app.state.database.writer() as session:
        conversations = Conversations(session, user.id)
        conversation = await session.get_one(Conversation, number)
        other = await conversations.add_question(conversation, "Other question?")
        await conversations.add_answer(make_answer(user.id, conversation, "*Other* answer."), other)
    async with signed_in_client(app, user) as client, signed_in_client(app) as other_client:
        text = await client.get(f"/chat/{number}/export/md")
        assert text.text == "# A long conversation\n\n## You\n\nOther question?\n\n## Answer\n\n*Other* answer.\n"
        assert text.headers["content-disposition"] == f'attachment; filename="conversation-{number}.md"'
        data = (await client.get(f"/chat/{number}/export/json")).json()
        assert [message["text"] for message in data["messages"]][:2] == ["Question 0?", "Answer 0."]
        assert data["leaf_id"] == data["messages"][-1]["id"]
        assert (await client.get(f"{API}/{number}/export")).json() == data
        assert (await client.get(f"/chat/{number}/export/pdf")).status_code == 404
        for path in (f"/chat/{number}/export/md", f"{API}/{number}/export"):
            assert (await other_client.get(path)).status_code == 404


async def test_search_finds_only_rows_of_the_owner(app: FastAPI) -> None:
    owner, other_user = await make_user(app.state.database), await make_user(app.state.database)
    ids: dict[str, int] = {}
    async with app.state.database.writer() as session:
        for user, title in ((owner, "About whales"), (owner, "Fish"), (other_user, "Secret whales")):
            conversations = Conversations(session, user.id)
            session.add(conversation := Conversation(owner_id=user.id, title=title))
            await session.flush()
            question = await conversations.add_question(
                conversation, "Do <whales> sing?" if title == "Fish" else "What else?"
            )
            text = "*Whales* sing at night." if title != "About whales" else "Nothing."
            answer = await conversations.add_answer(make_answer(user.id, conversation, text), question)
            ids |= {title: conversation.id, f"{title} question": question.id, f"{title} answer": answer.id}
    async with signed_in_client(app, owner) as client:

        async def search_for_ids(query: str) -> list[tuple[int, int | None]]:
            found_rows = (await client.get(f"{API}/search", params={"q": query})).json()
            assert found_rows["total"] == len(found_rows["items"])
            return [(hit["conversation_id"], hit["message_id"]) for hit in found_rows["items"]]

        fish = ids["Fish"]
        assert await search_for_ids("WHALE") == [
            (ids["About whales"], None),
            (fish, ids["Fish answer"]),
            (fish, ids["Fish question"]),
        ]
        assert await search_for_ids("whales night") == [(fish, ids["Fish answer"])]
        assert await search_for_ids("") == await search_for_ids("...") == await search_for_ids("secret") == []
        page = (await client.get("/chat/search", params={"q": "night"})).text
        assert f'href="/chat/{fish}?at={ids["Fish answer"]}#m{ids["Fish answer"]}"' in page
        assert "sing at <mark>night</mark>." in page
        assert "&lt;<mark>whales</mark>&gt; sing" in (await client.get("/chat/search?q=whales")).text
