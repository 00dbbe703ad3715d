"""Fixtures of `opportune.testing`: clients, recorded e-mails, and counted statements."""

from fastapi import FastAPI
from httpx2 import AsyncClient

from opportune.db import Database
from opportune.jobs import defer
from opportune.jobs.stored_files import delete_files
from opportune.testing import RecordedJobs

ADMIN_LIST = "/admin/user/list"


async def test_each_role_has_a_client(
    client: AsyncClient, user_client: AsyncClient, staff_client: AsyncClient, superuser_client: AsyncClient
) -> None:
    responses = [
        await role_client.get(ADMIN_LIST) for role_client in (client, user_client, staff_client, superuser_client)
    ]
    assert [response.status_code for response in responses] == [303, 403, 403, 200]


async def test_job_with_known_key_is_ignored(app: FastAPI, recorded_jobs: RecordedJobs, database: Database) -> None:
    for key in ("a", "", ""):
        async with database.writer() as session:
            defer(session, delete_files([]), key=key)
    assert [await app.state.jobs.enqueue(delete_files([]), key=key) for key in ("a", "b")] == ["1", "4"]
    await recorded_jobs.work()
    async with database.writer() as session:
        defer(session, delete_files([]), key="b")
    assert (recorded_jobs.keys, recorded_jobs.calls) == (["a", "", "", "b"], [])
