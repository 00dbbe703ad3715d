import pytest
from fastapi import FastAPI

from app.chat.models import Conversation
from app.chat.service import Chat
from opportune.testing import make_user, signed_in_client
from tests.chat.conversations import answer_of

HTMX = {"HX-Request": "true", "HX-Request-Type": "partial"}
API = "/api/v1/conversations"


@pytest.mark.database("sqlite")  # tests of search cover both databases
async def test_search_finds_rows_of_the_owner(app: FastAPI) -> None:
    owner, other = await make_user(app.state.database), await make_user(app.state.database)
    ids: dict[str, int] = {}
    async with app.state.database.writer() as session:
        for person, title in ((owner, "About whales"), (owner, "Fish"), (other, "Secret whales")):
            chat = Chat(session, person.id)
            session.add(conversation := Conversation(owner_id=person.id, title=title))
            await session.flush()
            question = await chat.add_question(conversation, "Do <whales> sing?" if title == "Fish" else "What else?")
            text = "*Whales* sing at night." if title != "About whales" else "Nothing."
            answer = await chat.add_answer(answer_of(person.id, conversation, text), question)
            ids |= {title: conversation.id, f"{title} question": question.id, f"{title} answer": answer.id}

    async with signed_in_client(app, owner) as client:

        async def found(query: str) -> list[tuple[int, int | None]]:
            results = (await client.get(f"{API}/search", params={"q": query})).json()
            assert results["total"] == len(results["items"])
            return [(hit["conversation_id"], hit["message_id"]) for hit in results["items"]]

        fish = ids["Fish"]
        assert await found("WHALE") == [
            (ids["About whales"], None),
            (fish, ids["Fish answer"]),
            (fish, ids["Fish question"]),
        ]
        assert await found("whales night") == [(fish, ids["Fish answer"])]
        assert await found("") == await found("...") == await found("secret") == []

        await client.patch(f"{API}/{ids['About whales']}", json={"title": "About rays"})
        assert await found("rays") == [(ids["About whales"], None)]
        async with app.state.database.writer() as session:
            message = await Chat(session, owner.id).message(ids["About whales answer"])
            assert message
            assert message.answer
            message.answer.text = "Rays glide."
        assert await found("glide") == [(ids["About whales"], ids["About whales answer"])]

        page = (await client.get("/chat/search", params={"q": "night"})).text
        assert f'href="/chat/{fish}?at={ids["Fish answer"]}#m{ids["Fish answer"]}"' in page
        assert "sing at <mark>night</mark>." in page
        assert "&lt;<mark>whales</mark>&gt; sing" in (await client.get("/chat/search?q=whales")).text
        part = await client.get("/chat/search?q=night&size=1", headers=HTMX)
        assert ("<mark>night" in part.text, "<html" in part.text) == (True, False)
        assert f'id="m{ids["Fish answer"]}"' in (await client.get(f"/chat/{fish}?at={ids['Fish answer']}")).text
        await client.post(f"/chat/{fish}/delete")
        assert await found("whales") == []
