"""Saved reports, and their e-mails."""

from datetime import UTC, date, datetime
from html import unescape
from io import BytesIO
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from openpyxl import load_workbook
from sqlalchemy import Executable, delete, select, update
from sqlmodel import col

from opportune.accounts.models import GroupPermission, User
from opportune.admin.models import AuditEntry, SavedView
from opportune.contrib.reports import jobs
from opportune.contrib.reports.jobs import send_due_reports
from opportune.mail import EmailMessage
from opportune.testing import RecordedJobs, add_permission, make_user
from tests.opportune.admin.gadget_feature import Gadget, Maker, gadgets
from tests.opportune.site_with import site_fixture
from tests.opportune.stored_rows import add_rows, execute, read_one

QUERY = "_group=colour&_measure=sum:size&size__gte=2"


app = site_fixture(
    gadgets,
    lambda: [Maker(id=1, name="Acme"), *(Gadget(name=f"gadget {size}", maker_id=1, size=size) for size in (1, 2, 3))],
)


@pytest.fixture
async def staff(app: FastAPI) -> User:
    staff = await make_user(app.state.database, "staff@example.com", is_staff=True)
    await add_permission(app.state.database, staff, "gadget", "list")
    return staff


async def save(client: AsyncClient, **details: Any) -> str:
    response = await client.post(f"/admin/gadget/views/add?{QUERY}", data={"name": "Sizes", **details})
    assert response.status_code == 303, response.text
    return str(response.headers["location"])


async def test_saved_report_opens_with_its_fields(staff_client: AsyncClient) -> None:
    assert "Send by e-mail" in (await staff_client.get(f"/admin/gadget/views/add?{QUERY}")).text
    assert "Send by e-mail" not in (await staff_client.get("/admin/gadget/views/add?size__gte=2")).text, (
        "a view of a list"
    )
    url = await save(staff_client)
    assert url.startswith("/admin/gadget/report?_group=colour&_measure=sum%3Asize&size__gte=2&view=")
    page = (await staff_client.get(url)).text
    assert "The report “Sizes” was saved." in unescape(page)
    assert [text in page for text in ("Edit report", ">5</td>")] == [True, True]
    assert "Sizes" in (await staff_client.get("/admin/gadget/list?view=plain")).text


async def send_due(app: FastAPI, recorded_jobs: RecordedJobs, last: date) -> list[EmailMessage]:
    """Return the e-mails that are sent if the last one was sent on this day."""
    await execute(app, update(SavedView).values(sent_on=last))
    await recorded_jobs.run(send_due_reports())
    await recorded_jobs.work()
    return recorded_jobs.outbox


async def test_report_is_sent_once_a_period(
    app: FastAPI, staff_client: AsyncClient, recorded_jobs: RecordedJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "utc_now", lambda: datetime(2026, 11, 25, 5, tzinfo=UTC))
    await save(staff_client, schedule="weekly")
    (email,) = await send_due(app, recorded_jobs, date(2026, 11, 22))
    assert (email.to, email.subject) == ("staff@example.com", f"Sizes: report of {app.state.settings.site_name}")
    assert "Red: 5" in email.text
    assert "/admin/gadget/views/" in email.text
    assert ">5</td>" in email.html
    await recorded_jobs.run(send_due_reports())
    await recorded_jobs.work()
    assert len(await send_due(app, recorded_jobs, date(2026, 11, 23))) == 1, "Monday of this week"


async def test_workbook_is_attached_for_readers_who_may_export(
    app: FastAPI, staff: User, staff_client: AsyncClient, recorded_jobs: RecordedJobs
) -> None:
    await save(staff_client, schedule="daily")
    (email,) = await send_due(app, recorded_jobs, date(2020, 1, 1))
    assert email.attachments == ()
    await add_permission(app.state.database, staff, "gadget", "export")
    _, email = await send_due(app, recorded_jobs, date(2020, 1, 1))
    (workbook,) = email.attachments
    assert workbook.filename == "gadget-report.xlsx"
    assert ("Red", 5) in [*load_workbook(BytesIO(workbook.content)).active.values]
    entry = await read_one(app, select(AuditEntry).where(col(AuditEntry.action) == "export"))
    assert entry.actor == staff.email
    assert entry.title.startswith("report xlsx by e-mail _group=colour")


SCHEDULES = [
    ("never", date(2020, 1, 1), False),
    ("daily", date(2026, 11, 24), True),
    ("daily", date(2026, 11, 25), False),
    ("monthly", date(2026, 10, 31), True),
    ("monthly", date(2026, 11, 1), False),
]


async def test_schedule_decides_when_a_report_is_due(
    app: FastAPI, staff: User, recorded_jobs: RecordedJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "utc_now", lambda: datetime(2026, 11, 25, 5, tzinfo=UTC))
    await add_rows(app, SavedView(owner_id=staff.id, identity="gadget", name="Sizes", query=QUERY))
    sent = 0
    for schedule, last, is_due in SCHEDULES:
        await execute(app, update(SavedView).values(schedule=schedule))
        sent += is_due
        assert len(await send_due(app, recorded_jobs, last)) == sent, (schedule, last)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(delete(GroupPermission), id="no permission"),
        pytest.param(update(User).values(is_staff=False), id="no staff"),
        pytest.param(delete(SavedView), id="deleted"),
    ],
)
async def test_former_readers_get_no_report(
    app: FastAPI, staff_client: AsyncClient, recorded_jobs: RecordedJobs, change: Executable
) -> None:
    await save(staff_client, schedule="daily")
    await execute(app, change)
    assert not await send_due(app, recorded_jobs, date(2020, 1, 1))
