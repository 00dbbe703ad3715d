"""A site whose e-mails arrive: in a folder, where a test opens them."""

import re
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

from fastapi import FastAPI
from pydantic import SecretStr

from opportune.settings import Settings

SITE = "https://opportune.example"


def with_mail(settings: Settings, folder: Path) -> Settings:
    """Jobs are done when a test asks for it."""
    return settings.model_copy(
        update={
            "mail_url": SecretStr(f"file:{folder}"),
            "jobs": "off",
            "base_url": SITE,
            "allowed_hosts": ["testserver"],
        }
    )


async def sent_emails(app: FastAPI) -> list[EmailMessage]:
    """What has been sent by now, in order."""
    await app.state.jobs.worker.drain()
    return _read(Path(app.state.settings.mail_url.get_secret_value().removeprefix("file:")))


def _read(folder: Path) -> list[EmailMessage]:
    files = sorted(folder.glob("*"))
    return [message_from_bytes(file.read_bytes(), _class=EmailMessage, policy=default) for file in files]


async def newest_link(app: FastAPI) -> tuple[str, str]:
    """The path and the token of the link in the e-mail that was sent last."""
    body = (await sent_emails(app))[-1].get_body(("plain",))
    assert body
    found = re.search(r"https?://[^/\s]+(/accounts/\S+)\?token=(\S+)", body.get_content())
    assert found, body.get_content()
    return found[1], found[2]
