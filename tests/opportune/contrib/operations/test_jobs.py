"""Pages of background jobs: list, details, retry and cancellation."""

import re
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from opportune.jobs.models import Job, JobState
from tests.opportune.stored_rows import add_rows, get_row

LIST_PAGE = "/admin/job/list"
DETAILS = "/admin/job/details/{}"
FAILED, RUNNING, WAITING, DONE = range(101, 105)  # above the ids of scheduled jobs
CONFIRMED = {"confirmed": "yes"}


@pytest.fixture
async def job_rows(app: FastAPI) -> None:
    """Jobs without a handler in any installed feature, so no worker runs them."""
    values: list[dict[str, Any]] = [
        {"name": "gone.fail", "state": JobState.FAILED, "attempt": 5, "error": "<b>Nobody</b> answers."},
        {"name": "gone.run", "state": JobState.RUNNING, "attempt": 1, "done": 3, "total": 10, "note": "thumbnails"},
        {"name": "gone.wait"},
        {"name": "gone.done", "state": JobState.DONE},
    ]
    await add_rows(app, *(Job(id=number, **fields) for number, fields in enumerate(values, FAILED)))


async def list_job_names(admin: AsyncClient, query: str = "") -> list[str]:
    response = await admin.get(f"{LIST_PAGE}{query}")
    assert response.status_code == 200
    return re.findall(r"gone\.\w+", response.text)


async def test_jobs_are_listed_with_progress_and_error(admin: AsyncClient, job_rows: None) -> None:
    text = (await admin.get(LIST_PAGE)).text
    assert "3 of 10: thumbnails" in text
    assert "&lt;b&gt;Nobody&lt;/b&gt; answers." in text
    assert await list_job_names(admin) == ["gone.done", "gone.wait", "gone.run", "gone.fail"]
    assert await list_job_names(admin, "?state=failed") == ["gone.fail"]
    details = await admin.get(DETAILS.format(FAILED))
    assert details.status_code == 200
    assert "gone.fail" in details.text
    for path in ("create", f"edit/{DONE}", f"delete?pks={DONE}"):
        assert (await admin.get(f"/admin/job/{path}")).status_code == 403, path
    pages = [(await admin.get(DETAILS.format(number))).text for number in (FAILED, RUNNING, WAITING, DONE)]
    assert [re.findall(r"/action/(\w+)", page) for page in pages] == [["retry"], ["cancel"], ["cancel"], []]


async def test_job_is_retried_and_cancelled(app: FastAPI, admin: AsyncClient, job_rows: None) -> None:
    for action, message in (("retry", "1 job queued again."), ("cancel", "1 job cancelled.")):
        response = await admin.post(f"/admin/job/action/{action}?pks={FAILED}", data=CONFIRMED)
        assert (response.status_code, response.headers["location"]) == (303, LIST_PAGE)
        assert message in (await admin.get(LIST_PAGE)).text
    assert (await get_row(app, Job, FAILED)).state == JobState.CANCELLED


async def test_refused_jobs_are_reported(admin: AsyncClient, job_rows: None) -> None:
    await admin.post(f"/admin/job/action/cancel?pks={WAITING},{DONE},99", data=CONFIRMED)
    text = (await admin.get(LIST_PAGE)).text
    for line in ("1 job cancelled.", f"Job {DONE} is done. Only waiting and running jobs", "There is no job 99."):
        assert line in text
    log = (await admin.get("/admin/audit-entry/export/json?identity=job")).json()
    assert [(entry["action"], entry["row_id"]) for entry in log] == [("action:cancel", str(WAITING))]
    assert (await admin.get("/admin/job/action/cancel?pks=1")).status_code == 405
    await admin.post(f"/admin/job/action/retry?pks={','.join(map(str, range(1001, 1101)))}", data=CONFIRMED)
    text = (await admin.get(LIST_PAGE)).text
    assert text.count("There is no job ") == 5
    assert "95 more jobs could not be changed." in text
