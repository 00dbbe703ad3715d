"""Search of events as in `oppman.py docs search`."""

from datetime import timedelta

import pytest

from app.events.models import Event
from opportune.db import Database, utc_now
from opportune.search import Searchable
from opportune.testing.search import searchable


@pytest.mark.database("sqlite", "postgresql")
async def test_events_are_searchable(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    event_search = await searchable(
        database, monkeypatch, lambda: Searchable(Event, ["title", "summary", "description"], url="/events/{slug}")
    )
    starts, ends = utc_now(), utc_now() + timedelta(hours=1)
    bread = Event(
        title="Bread for beginners", slug="bread", summary="At the Café Müller", starts_at=starts, ends_at=ends
    )
    tea = Event(title="Tea", slug="tea", description="Bread is brought along", starts_at=starts, ends_at=ends)
    async with database.writer() as session:
        session.add_all([bread, tea])
    async with database.reader() as session:
        results = await event_search.find(session, "bre")
        hits = [(hit.row.slug, hit.url) for hit in results.items]
        assert hits == [("bread", "/events/bread"), ("tea", "/events/tea")]
        assert results.items[0].name_html == "<mark>Bre</mark>ad for beginners"
        assert [hit.row.slug for hit in (await event_search.find(session, "muller")).items] == ["bread"]
