"""Fixtures of a site that writes its e-mails to a folder."""

import re
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient, Response
from pydantic import SecretStr

from opportune.accounts.models import User
from opportune.config.settings import Settings
from opportune.db.database import Database
from opportune.testing import PASSWORD, RecordedJobs
from opportune.testing.plugin import settings_for
from tests.opportune.stored_rows import read_all

EMAIL = "ada@example.com"
NEW_PASSWORD = "another good password"
ME = "/api/v1/users/me"
SITE = "https://opportune.example"


def write_emails_to(settings: Settings, folder: Path) -> Settings:
    """Write e-mails to a folder, and run jobs on request only."""
    site = {"jobs": "off", "base_url": SITE, "allowed_hosts": ["testserver"]}
    return settings.model_copy(update={"mail_url": SecretStr(f"file:{folder}"), **site})


async def read_sent_emails(app: FastAPI) -> list[EmailMessage]:
    """Run the jobs and return all e-mails in order."""
    await app.state.jobs.worker.drain()
    return _read(Path(app.state.settings.mail_url.get_secret_value().removeprefix("file:")))


def _read(folder: Path) -> list[EmailMessage]:
    files = sorted(folder.glob("*"))
    return [message_from_bytes(file.read_bytes(), _class=EmailMessage, policy=default) for file in files]


async def read_newest_link(app: FastAPI) -> tuple[str, str]:
    """Return path and token of the link in the newest e-mail."""
    body = (await read_sent_emails(app))[-1].get_body(("plain",))
    assert body
    match = re.search(r"https?://[^/\s]+(/accounts/\S+)\?token=(\S+)", body.get_content())
    assert match, body.get_content()
    return match[1], match[2]


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    return write_emails_to(settings_for(database_url), tmp_path / "mail")


async def read_users(database: Database) -> list[tuple[str, bool]]:
    return [(user.email, user.is_verified) for user in await read_all(database, User)]


async def read_sent_subjects(app: FastAPI) -> list[tuple[str, str]]:
    return [(email["To"], email["Subject"]) for email in await read_sent_emails(app)]


async def sign_in_to_api(client: AsyncClient, password: str = PASSWORD) -> int:
    data = {"username": EMAIL, "password": password}
    return (await client.post("/api/v1/auth/login", data=data)).status_code


async def register(client: AsyncClient, email: str = EMAIL, password: str = PASSWORD) -> Response:
    return await client.post("/accounts/register", data={"email": email, "password": password})


async def submit_new_password(client: AsyncClient, channel: str, token: str, password: str) -> int:
    form = {"token": token, "password": password}
    if channel == "page":
        return (await client.post("/accounts/reset-password", data=form)).status_code
    return (await client.post("/api/v1/auth/reset-password", json=form)).status_code


def list_sent_subjects(recorded_jobs: RecordedJobs) -> list[tuple[str, str]]:
    return [(email.recipients, email.subject) for email in recorded_jobs.outbox]
