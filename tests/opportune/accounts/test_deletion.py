"""Deletion and export of accounts, checked against the tables of all installed features."""

import asyncio
import io
import json
import os
import tempfile
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from typing import IO, Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import Column, Table, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.types import Send

from opportune.accounts.flows.deletion import write_archive
from opportune.accounts.models import AccountEvent, Group, Membership, Passkey, RecoveryCode, User
from opportune.db import Database, Model
from opportune.db.hooks.registry import before_delete, temporary_hooks
from opportune.db.queries import batches
from opportune.errors import FieldErrors
from opportune.feature import Accounts, Feature, Person, PersonalData
from opportune.project.installed import installed_features
from opportune.testing import PASSWORD, Make, RecordedJobs, make_user, signed_in_client
from opportune.web.streaming import ClosingResponse
from tests.opportune.accounts.sent_emails import list_sent_subjects
from tests.opportune.stored_rows import add_rows, read_all

EMAIL, ME = "ada@example.com", "/api/v1/users/me"
DELETION_FORM = {"email": "ADA@example.com ", "current_password": PASSWORD}
SECRETS = ("hashed_password", "token_hash", "totp_secret", "code_hash", "argon2")


@pytest.fixture
async def user(database: Database, make: Make) -> User:
    user = await make_user(database, EMAIL, is_verified=True)
    group = await make(Group, name="Editors")
    await make(Membership, user_id=user.id, group_id=group.id)
    for model in (RecoveryCode, Passkey):
        await make(model, user_id=user.id)
    return user


@pytest.fixture
async def ada_client(recorded_jobs: RecordedJobs, user_client: AsyncClient) -> AsyncClient:
    token = {"name": "Script", "days": 30, "current_password": PASSWORD}
    assert (await user_client.post(f"{ME}/tokens", json=token)).status_code == 201
    return user_client


def find_user_columns() -> Iterator[tuple[Table, Column[Any]]]:
    for feature in installed_features():
        for model in feature.models:
            table: Table = Model.metadata.tables[str(model.__tablename__)]
            yield from ((table, key.parent) for key in table.foreign_keys if key.references(User.__table__))  # type: ignore[attr-defined]  # SQLModel's classes have it


async def count_rows(database: Database, user_id: int) -> dict[str, int]:
    counts = {}
    async with database.reader(fresh=True) as session:
        for table, column in find_user_columns():
            count = await session.scalar(select(func.count()).select_from(table).where(column == user_id))
            counts[table.name] = count or 0
    return {name: count for name, count in counts.items() if count}


def test_rows_of_a_user_are_deleted_with_the_user() -> None:
    columns = [(table, column, key) for table, column in find_user_columns() for key in column.foreign_keys]
    kept_columns = [f"{table.name}.{column.name}" for table, column, key in columns if key.ondelete != "CASCADE"]
    assert kept_columns == ["answers_usage.owner_id"], "usage records are kept without their user"


def test_features_with_rows_of_users_export_them() -> None:
    features_without_export = {
        feature.name
        for feature in installed_features()
        for model in feature.models
        if not feature.accounts.personal_data
        and any(table.name == model.__tablename__ for table, _ in find_user_columns())
    }
    assert features_without_export == set()


@pytest.mark.database("postgresql")
async def test_deleted_account_leaves_no_rows(
    ada_client: AsyncClient, user: User, database: Database, recorded_jobs: RecordedJobs
) -> None:
    other_user = await make_user(database)
    assert set(await count_rows(database, user.id)) >= {"accounts_session", "accounts_token", "accounts_membership"}
    response = await ada_client.post("/accounts/data/delete", data=DELETION_FORM)
    assert (response.status_code, response.headers["location"]) == (303, "/accounts/left")
    assert "Max-Age=0" in response.headers["set-cookie"]
    assert "Your account is deleted" in (await ada_client.get("/accounts/left")).text
    assert (await ada_client.get("/accounts/profile")).status_code == 303
    assert await count_rows(database, user.id) == {}
    assert await read_all(database, User) == [other_user]
    assert list_sent_subjects(recorded_jobs)[-1] == (EMAIL, "Your account is deleted")


async def test_forget_verified_emails(app: FastAPI, ada_client: AsyncClient, user: User, database: Database) -> None:
    forgotten: list[Person] = []

    async def read(session: AsyncSession, person: Person) -> dict[str, list[dict[str, Any]]]:
        return {"notes": [{"text": "Grüße", "email": person.email, "picture": b"\xff"}]}

    async def forget(session: AsyncSession, person: Person) -> None:
        forgotten.append(person)

    notes = PersonalData(summary="Your <notes>", read=read, forget=forget)
    app.state.features = [*app.state.features, Feature("notes", accounts=Accounts(personal_data=notes))]
    async with signed_in_client(app) as bob:
        for path in (f"{ME}/export", "/accounts/data/export"):
            (note,) = (await bob.get(path)).json()["notes"]["notes"]
            assert note == {"text": "Grüße", "email": "", "picture": "_w=="}
        assert "Your &lt;notes&gt;" in (await bob.get("/accounts/data")).text

    assert (await ada_client.request("DELETE", ME, json={"current_password": PASSWORD})).status_code == 204

    assert forgotten == [Person(user.id, EMAIL)]
    assert (await ada_client.get(ME)).status_code == 401
    assert await count_rows(database, user.id) == {}


async def test_stored_capitals_do_not_prevent_deletion(app: FastAPI, database: Database) -> None:
    async with signed_in_client(app, await make_user(database, EMAIL.upper())) as client:
        assert (await client.post("/accounts/data/delete", data=DELETION_FORM)).status_code == 303


async def test_export_contains_everything_but_secrets(ada_client: AsyncClient) -> None:
    response = await ada_client.get("/accounts/data/export")
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["content-disposition"].startswith('attachment; filename="my-data-')
    assert response.headers["content-type"] == "application/json"
    exported = response.json()["accounts"]
    assert exported["account"][0]["email"] == EMAIL
    assert [row["name"] for row in exported["tokens"] + exported["groups"]] == ["Script", "Editors"]
    assert len(exported["sessions"]) == 1
    (passkey,) = exported["passkeys"]
    assert "user_id" not in passkey
    assert not [secret for secret in SECRETS if secret in response.text]
    api_export = (await ada_client.get(f"{ME}/export")).json()
    assert api_export["accounts"].pop("events")[-1]["kind"] == "data_exported"
    assert api_export["accounts"].items() < exported.items()


async def test_row_is_exported_once(app: FastAPI, ada_client: AsyncClient, user: User, database: Database) -> None:
    other_user = await make_user(database)
    await add_rows(
        database,
        AccountEvent(kind="both", user_id=user.id, actor_id=user.id),
        AccountEvent(kind="one", user_id=other_user.id, actor_id=user.id),
        AccountEvent(kind="none", user_id=other_user.id),
    )
    columns = [AccountEvent.user_id, AccountEvent.actor_id]
    notes = PersonalData(summary="Events that name you", owners=columns)
    app.state.features = [Feature("notes", accounts=Accounts(personal_data=notes))]
    rows = (await ada_client.get("/accounts/data/export")).json()["notes"]["event"]
    named = [row for row in rows if row["kind"] in ("both", "one", "none")]
    assert [row["kind"] for row in named] == ["both", "one"]
    assert not {"user_id", "actor_id"} & named[0].keys()


def install_notes_with_files(app: FastAPI, *names: str) -> None:
    """Install a feature whose personal data has a row with the first file, and all files."""

    async def read(session: AsyncSession, person: Person) -> dict[str, list[dict[str, Any]]]:
        return {"notes": [{"file": names[0]}]}

    async def files(session: AsyncSession, person: Person) -> list[str]:
        return list(names)

    notes = PersonalData(summary="Notes", read=read, files=files)
    app.state.features = [Feature("notes", accounts=Accounts(personal_data=notes))]


async def test_export_with_files_is_a_zip_archive(app: FastAPI, ada_client: AsyncClient) -> None:
    stored = await app.state.storage.save("notes", "txt", b"a file", "text/plain")
    removed = await app.state.storage.save("notes", "txt", b"another", "text/plain")
    await app.state.storage.delete(removed)
    install_notes_with_files(app, stored, removed, stored)
    response = await ada_client.get("/accounts/data/export")
    assert response.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
        assert archive.namelist() == ["data.json", f"files/{stored}"]
        assert archive.read(f"files/{stored}") == b"a file"
        assert json.loads(archive.read("data.json")) == {"notes": {"notes": [{"file": stored}]}}


async def test_left_archive_is_closed(app: FastAPI, ada_client: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    archives: list[IO[bytes]] = []

    async def record(file: IO[bytes], *_: object) -> None:
        archives.append(file)

    async def leave_before_the_first_part(_response: ClosingResponse, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body"})

    install_notes_with_files(app, "a.txt")
    monkeypatch.setattr("opportune.accounts.flows.deletion.write_archive", record)
    monkeypatch.setattr(ClosingResponse, "stream_response", leave_before_the_first_part)
    await ada_client.get("/accounts/data/export")
    assert [archive.closed for archive in archives] == [True]


async def test_deletion_page_needs_email_and_password(ada_client: AsyncClient, recorded_jobs: RecordedJobs) -> None:
    for change, message in (
        ({"current_password": "not the password"}, "This is not your current password."),
        ({"current_password": ""}, "Please enter your current password."),
        ({"email": "bob@example.com"}, "Please enter the address of this account."),
    ):
        response = await ada_client.post("/accounts/data/delete", data={**DELETION_FORM, **change})
        assert response.status_code == 422
        assert message in response.text
    assert (await ada_client.get(ME)).status_code == 200
    assert "Your account is deleted" not in [subject for _, subject in list_sent_subjects(recorded_jobs)]


async def test_account_with_many_rows_is_deleted(
    ada_client: AsyncClient, user: User, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(_session: AsyncSession, _user: User) -> None:
        raise FieldErrors({"": "You have open invoices."})

    monkeypatch.setattr(batches, "MAX_CASCADED_ROWS", 0)
    with temporary_hooks():
        before_delete(User)(refuse)
        page = await ada_client.post("/accounts/data/delete", data=DELETION_FORM)
    assert (page.status_code, "You have open invoices." in page.text, 'name="email"' in page.text) == (422, True, True)
    assert (await ada_client.get(ME)).status_code == 200
    for body, status in (({}, 422), ({"current_password": "wrong"}, 422), ({"current_password": PASSWORD}, 204)):
        assert (await ada_client.request("DELETE", ME, json=body)).status_code == status
    assert await count_rows(database, user.id) == {}


@pytest.mark.parametrize("max_cascaded_rows", [0, 1000])
async def test_last_superuser_is_kept(app: FastAPI, monkeypatch: pytest.MonkeyPatch, max_cascaded_rows: int) -> None:
    monkeypatch.setattr(batches, "MAX_CASCADED_ROWS", max_cascaded_rows)
    superuser = await make_user(app.state.database, EMAIL, is_superuser=True)
    await make_user(app.state.database, is_superuser=True, is_active=False)
    async with signed_in_client(app, superuser) as client:
        page = await client.post("/accounts/data/delete", data=DELETION_FORM)
        response = await client.request("DELETE", ME, json={"current_password": PASSWORD})
        assert (page.status_code, response.status_code) == (422, 409)
        assert "You are the only superuser" in page.text
        assert (await client.get(ME)).status_code == 200


@pytest.mark.database("postgresql")
async def test_deletions_keep_a_superuser(app: FastAPI, database: Database, recorded_jobs: RecordedJobs) -> None:
    async def delete_account(email: str) -> int:
        async with signed_in_client(app, await make_user(database, email, is_superuser=True)) as client:
            await ready.wait()
            return (await client.request("DELETE", ME, json={"current_password": PASSWORD})).status_code

    ready = asyncio.Barrier(2)
    statuses = await asyncio.gather(delete_account("one@example.com"), delete_account("two@example.com"))
    assert sorted(statuses) == [204, 409]


async def test_archive_needs_memory_for_one_file(app: FastAPI, traced_memory: Callable[[], int]) -> None:
    storage = app.state.storage
    names = [await storage.save("notes", "bin", os.urandom(1_000_000), "") for _ in range(8)]
    tracemalloc.reset_peak()
    with tempfile.TemporaryFile() as file:
        await write_archive(file, b"{}", storage, names)
    assert traced_memory() < 4_000_000
