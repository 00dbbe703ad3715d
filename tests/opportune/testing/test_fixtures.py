"""Servers and clients of tests, their jobs, and the time limit of asynchronous tests."""

import asyncio
import traceback
from contextlib import ExitStack

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from opportune.db import Database
from opportune.jobs import defer, delete_files
from opportune.testing import RecordedJobs
from opportune.testing.fixtures import start_postgres
from opportune.testing.services import postgres
from opportune.testing.time_limit import limited


def test_missing_server_fails_with_a_next_step(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(*_: object) -> None:
        raise postgres.ServerNotStarted("PostgreSQL did not start: no libpq.")

    monkeypatch.delenv(postgres.SERVER_VARIABLE, raising=False)
    monkeypatch.setattr(postgres, "postgres", start)
    with pytest.raises(pytest.fail.Exception) as failure:
        start_postgres(ExitStack())
    message = "did not start: no libpq. Run the tests on SQLite only: python3 oppman.py test --sqlite"
    assert str(failure.value).endswith(message)
    assert not failure.value.pytrace


async def wait_forever() -> None:
    await asyncio.Event().wait()


async def test_hanging_test_fails_at_its_line() -> None:
    with pytest.raises(TimeoutError) as failure:
        await limited(wait_forever, 0.01)()
    assert "await asyncio.Event().wait()" in "".join(traceback.format_exception(failure.value))


async def test_each_role_has_a_client(
    client: AsyncClient, user_client: AsyncClient, staff_client: AsyncClient, superuser_client: AsyncClient
) -> None:
    clients = (client, user_client, staff_client, superuser_client)
    responses = [await role_client.get("/admin/user/list") for role_client in clients]
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
