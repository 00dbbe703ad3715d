import pytest
from httpx import AsyncClient

from tests.events.conftest import MakeEvent

pytestmark = pytest.mark.database("sqlite")


async def test_the_landing_page_shows_the_next_events(client: AsyncClient, make_event: MakeEvent) -> None:
    await make_event(title="Tea & <cake>")
    await make_event("draft", title="A draft", is_published=False)

    text = (await client.get("/")).text

    assert "Next events" in text
    assert "Tea &amp; &lt;cake&gt;" in text
    assert "A draft" not in text


async def test_without_events_there_is_no_card(client: AsyncClient) -> None:
    assert "Next events" not in (await client.get("/")).text
