"""Cards of the next events on the landing page."""

from httpx2 import AsyncClient

from tests.events.conftest import MakeEvent


async def test_landing_page_shows_next_events(client: AsyncClient, make_event: MakeEvent) -> None:
    await make_event(title="Tea & <cake>")
    await make_event("draft", title="A draft", is_published=False)

    text = (await client.get("/")).text

    assert "Tea &amp; &lt;cake&gt;" in text
    assert "A draft" not in text


async def test_no_card_without_events(client: AsyncClient) -> None:
    assert "next-events" not in (await client.get("/")).text
