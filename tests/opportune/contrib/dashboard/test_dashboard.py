"""Dashboard of the admin."""

import re
from datetime import UTC, datetime, time, timedelta
from html import unescape
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from pydantic import SecretStr
from sqlalchemy import delete, text, update
from sqlmodel import col

from opportune import __version__
from opportune.accounts.models import Membership, User
from opportune.admin.models import AuditEntry
from opportune.admin.site import make_site
from opportune.contrib.dashboard import ranges
from opportune.contrib.dashboard.metric_charts import read_chart
from opportune.contrib.dashboard.ranges import DEFAULT_RANGE
from opportune.contrib.operations.health import Health
from opportune.feature import Metric
from opportune.testing.factories import signed_in_client
from tests.opportune.stored_rows import add_rows, execute, make_staff

DAYS = DEFAULT_RANGE.days


@pytest.mark.parametrize("zone", ["Australia/Lord_Howe", "Asia/Kathmandu"])
async def test_chart_counts_local_days_like_the_list(
    app: FastAPI, admin: AsyncClient, monkeypatch: pytest.MonkeyPatch, zone: str
) -> None:
    # In these 60 days, clocks are changed once on Lord Howe Island.
    now = datetime(2026, 11, 20, 12, tzinfo=UTC)
    monkeypatch.setattr(ranges, "utc_now", lambda: now)
    days = [now.date() - timedelta(days=number) for number in range(-1, 2 * DAYS + 1)]
    midnights = [datetime.combine(day, time(), ZoneInfo(zone)).astimezone(UTC) for day in days]
    async with app.state.database.writer() as session:
        await session.execute(update(User).values(created_at=now))
        for moment in (shifted for midnight in midnights for shifted in (midnight, midnight - timedelta(seconds=1))):
            session.add(User(email=f"{moment:%d%m%H%M}@example.com", hashed_password="", created_at=moment))
    admin.cookies.set("time_zone", zone)
    page = (await admin.get("/admin/?complete=1")).text
    assert read_sign_up_count(page) == f"{2 * DAYS + 1}"
    assert f"{2 * DAYS} in the period before" in page
    assert page.count(": 2</text>") == DAYS - 1, "and three today"
    link = re.search(r'href="([^"]*)">Sign-ups</a>', page)
    assert link
    assert f" of {2 * DAYS + 1}" in (await admin.get(unescape(link[1]))).text


async def test_browser_requests_the_parts_after_the_page(admin: AsyncClient) -> None:
    page = (await admin.get("/admin/?range=week")).text
    assert [text in page for text in ('hx-get="?range=week"', "Sign-ups")] == [True, False]
    parts = (await admin.get("/admin/?range=week", headers={"HX-Request-Type": "partial"})).text
    assert "Sign-ups" in parts
    assert "<html" not in parts


async def test_dashboard_has_counts_and_charts(app: FastAPI, admin: AsyncClient) -> None:
    page = (await admin.get("/admin/?complete=1&all=1")).text
    assert "Recent actions" not in page
    assert read_sign_up_count(page) == "1"
    assert re.search(r'href="/admin/user/list">Users</a></h2>\s*<span[^>]*>1</span>', page)
    assert 'href="/admin/user/create"' in page
    labels = [metric.label for feature in app.state.features for metric in feature.admin.metrics]
    assert "Sign-ups" in labels
    for label in labels:
        assert f'aria-label="{label} by day: ' in page, label
    assert page.count('<a class="chart-point"') == len(labels) * DAYS
    assert f" {__version__}, Python " in page
    view: Any = make_site(app, "/admin").view_for_model(User)
    async with app.state.database.reader() as session:
        chart = await read_chart(session, Metric("Sign-ups", User.created_at), DEFAULT_RANGE, (), view)
    assert (chart.total, chart.max_number, chart.change) == (1, 1, None), "no sign-ups in the previous period"


def read_sign_up_count(page: str) -> str:
    match = re.search(r"Sign-ups by day: (\d+)", page)
    return match[1] if match else ""


async def test_staff_see_only_models_they_may_list(app: FastAPI) -> None:
    staff = await make_staff(app, "group.list")
    await add_rows(app, AuditEntry(actor="root@example.com", action="update", identity="user", title="Tea"))
    async with signed_in_client(app, staff) as client:
        page = (await client.get("/admin/?complete=1")).text
    assert "/admin/group/list" in page
    texts = ("Sign-ups", "Recent actions", "/admin/job", "/admin/user/", "<svg", "Health", "/create", "Python")
    assert [text for text in (*texts, "/admin/operations") if text in page] == []
    await execute(app, delete(Membership).where(col(Membership.user_id) == staff.id))
    async with signed_in_client(app, staff) as client:
        assert (await client.get("/admin/?complete=1")).status_code == 403


async def test_failed_health_check_does_not_hide_other_checks(app: FastAPI) -> None:
    changes = {"mail_url": SecretStr("pigeon:s3cret"), "jobs": "off"}
    app.state.settings = app.state.settings.model_copy(update=changes)
    await execute(app, text("ALTER TABLE jobs_job RENAME TO jobs_gone"))
    lights = {light.part: light for light in await Health(app).lights()}
    assert (lights["Database"].state, lights["Files"].state) == ("ok", "ok")
    assert (lights["Mail"].state, lights["Tables"].state) == ("fault", "fault")
    assert "s3cret" not in lights["Mail"].words
    assert "oppman.py migrate" in lights["Tables"].words
