"""Settings, e-mails and templates for tests of mail."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from opportune.config.settings import Settings
from opportune.mail import EmailMessage, mailbox
from opportune.mail.templates import EmailTemplateLoader, environment
from opportune.project.layout import TEMPLATE_FOLDERS
from opportune.testing.plugin import settings_for

WriteTemplate = Callable[[str, str], None]


def settings_with(mail_url: str = "console:", **fields: object) -> Settings:
    settings = settings_for("sqlite:///unused.db")
    return settings.model_copy(update={"mail_url": SecretStr(mail_url), "base_url": "https://example.org", **fields})


def email_to(address: str | Sequence[str] = "ada@example.com", **fields: Any) -> EmailMessage:
    defaults = {"subject": "Hello", "text": "A text.\n", "html": "", "message_id": "<0123abcd@example.org>"}
    return EmailMessage(to=address, **defaults | fields)


@pytest.fixture
def write_template(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WriteTemplate:
    assert isinstance(environment.loader, EmailTemplateLoader)
    monkeypatch.setattr(environment.loader, "searchpath", [str(tmp_path), *map(str, TEMPLATE_FOLDERS)])
    monkeypatch.setattr(environment, "cache", None)

    def add(name: str, content: str) -> None:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content, encoding="utf-8")

    return add


@pytest.fixture
def mailbox_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Use an empty folder as the mailbox of development."""
    monkeypatch.setattr(mailbox, "FOLDER", tmp_path / "mailbox")
    return tmp_path / "mailbox"
