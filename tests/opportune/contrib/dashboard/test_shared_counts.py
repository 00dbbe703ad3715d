"""Counts of the overview in the site's cache."""

import re
from datetime import UTC, datetime
from html import escape
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from opportune.contrib.dashboard import ranges, shared_counts
from opportune.feature import Metric, Number
from opportune.feature.admin import Widget
from opportune.testing import counted_statements, make_user, signed_in_client
from tests.opportune.admin.gadget_feature import Gadget, Maker
from tests.opportune.contrib.dashboard.test_widgets import with_widgets
from tests.opportune.site_with import site_fixture
from tests.opportune.stored_rows import add_rows

WIDGETS: list[Widget] = [Number("All gadgets", Gadget), Metric("New gadgets", Gadget.created_at)]
COUNTS = {
    "row count": r'Gadgets</a></h2>\s*<span class="ms-auto[^>]*>(\d+)<',
    "number": r'h1 mb-0">(\d+)<',
    "chart": r"New gadgets by day: (\d+) from",
}


app = site_fixture(with_widgets(*WIDGETS), lambda: [Maker(id=1, name="Acme"), Gadget(name="first", maker_id=1)])


async def add_gadget(app: FastAPI, name: str, **values: Any) -> None:
    await add_rows(app, Gadget(name=name, maker_id=1, **values))


async def read_counts(client: AsyncClient, **parameters: str) -> dict[str, str]:
    page = (await client.get("/admin/", params={"complete": 1, **parameters})).text
    matches = {name: re.search(pattern, page) for name, pattern in COUNTS.items()}
    return {name: match[1] if match else "" for name, match in matches.items()}


def all_equal(number: int) -> dict[str, str]:
    return dict.fromkeys(COUNTS, str(number))


async def test_counts_are_cached(app: FastAPI, admin: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    assert await read_counts(admin) == all_equal(1)
    await add_gadget(app, "second")
    assert (await admin.post("/admin/gadget/create", data={"name": "third"})).status_code == 400
    assert await read_counts(admin) == all_equal(1), "nothing was changed in the admin"
    assert shared_counts.MAX_AGE_SECONDS == 60
    monkeypatch.setattr(shared_counts, "MAX_AGE_SECONDS", 1e-9)
    await read_counts(admin, range="7")
    await add_gadget(app, "third")
    assert await read_counts(admin, range="7") == all_equal(3)


async def test_users_with_the_same_rows_share_counts(app: FastAPI, admin: AsyncClient) -> None:
    await read_counts(admin)
    other = await make_user(app.state.database, "other@example.com", is_superuser=True)
    async with signed_in_client(app, other) as client:
        with counted_statements("FROM test_gadget") as statements:
            assert await read_counts(client) == all_equal(1)
    assert len(statements) == 1, "only the newest rows are read again"


async def test_time_zones_have_their_counts(app: FastAPI, admin: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranges, "utc_now", lambda: datetime(2026, 11, 20, 12, tzinfo=UTC))
    await add_gadget(app, "first day in Tokyo", created_at=datetime(2026, 11, 13, 20, tzinfo=UTC))
    numbers = []
    for zone in ("UTC", "Asia/Tokyo"):
        admin.cookies.set("time_zone", zone)
        numbers.append(int((await read_counts(admin, range="7"))["chart"]))
    assert numbers[1] == numbers[0] + 1


async def test_change_in_the_admin_clears_its_counts(app: FastAPI, admin: AsyncClient) -> None:
    await read_counts(admin)
    gadget = {"name": "second", "maker_id": "1", "colour": "red", "state": "new", "size": "1", "created_at": ""}
    response = await admin.post("/admin/gadget/create", data=gadget)
    assert response.status_code == 303, response.text
    assert await read_counts(admin) == all_equal(2)


async def test_count_again_clears_the_counts(app: FastAPI, admin: AsyncClient) -> None:
    action = "/admin/arrange-overview?complete=1&range=7"
    assert f'action="{escape(action)}"' in (await admin.get("/admin/?complete=1&range=7")).text
    await add_gadget(app, "second")
    response = await admin.post(action, data={"fresh": "1"})
    assert (response.status_code, response.headers["location"]) == (303, "/admin/?complete=1&range=7")
    assert await read_counts(admin, range="7") == all_equal(2)
