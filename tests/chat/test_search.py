"""Search in conversations."""

from fastapi import FastAPI

from app.chat.conversations import Conversations
from app.chat.models import Conversation
from opportune.testing import make_user, signed_in_client
from tests.chat.conversations import API, HTMX, make_answer


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

        await client.patch(f"{API}/{ids['About whales']}", json={"title": "About rays"})
        assert await search_for_ids("rays") == [(ids["About whales"], None)]
        async with app.state.database.writer() as session:
            message = await Conversations(session, owner.id).find_message(ids["About whales answer"])
            assert message
            assert message.answer
            message.answer.text = "Rays glide."
        assert await search_for_ids("glide") == [(ids["About whales"], ids["About whales answer"])]

        page = (await client.get("/chat/search", params={"q": "night"})).text
        assert f'href="/chat/{fish}?at={ids["Fish answer"]}#m{ids["Fish answer"]}"' in page
        assert "sing at <mark>night</mark>." in page
        assert "&lt;<mark>whales</mark>&gt; sing" in (await client.get("/chat/search?q=whales")).text
        results = await client.get("/chat/search?q=night&size=1", headers=HTMX)
        assert "<mark>night" in results.text
        assert "<html" not in results.text
        assert f'id="m{ids["Fish answer"]}"' in (await client.get(f"/chat/{fish}?at={ids['Fish answer']}")).text
        await client.post(f"/chat/{fish}/delete")
        assert await search_for_ids("whales") == []
