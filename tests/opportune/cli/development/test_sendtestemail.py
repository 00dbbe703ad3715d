"""`sendtestemail`: sent e-mails, and errors without secrets."""

from pathlib import Path

import pytest

from opportune.mail import mailbox
from tests.opportune.cli.conftest import Oppman


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder of the development mailbox."""
    monkeypatch.setattr(mailbox, "FOLDER", tmp_path / "mailbox")
    return tmp_path / "mailbox"


def test_each_address_gets_an_email(oppman: Oppman, tmp_path: Path) -> None:
    mail = tmp_path / "mail"
    code, out, err = oppman("sendtestemail", "ada@example.com", "Zoë <zoe@example.com>", MAIL_URL=f"file:{mail}")
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        f"Wrote an e-mail to {address} into {mail}. To send e-mails, set MAIL_URL (oppman.py docs mail)."
        for address in ("ada@example.com", "Zoë <zoe@example.com>")
    ]
    emails = [path.read_text() for path in mail.iterdir()]
    assert sum("To: ada@example.com\n" in email for email in emails) == 1
    assert all("Auto-Submitted: auto-generated" in email for email in emails)


@pytest.mark.parametrize("addresses", [["ada@example.com", "bob"], ["ada@example.com\nBcc: all@example.com"], []])
def test_invalid_address_keeps_all_from_being_sent(oppman: Oppman, folder: Path, addresses: list[str]) -> None:
    assert "address" in oppman("sendtestemail", *addresses).line(2).lower()
    assert not folder.exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MAIL_URL", "smtp://ada:hunter2@127.0.0.1:1"),
        ("MAIL_URL", "smtp://ada:hun/ter2@example.org"),
        ("MAIL_FROM", "Site <site>"),
    ],
)
def test_failure_is_reported_without_password(oppman: Oppman, name: str, value: str) -> None:
    assert "hun" not in oppman("sendtestemail", "ada@example.com", **{name: value}).line()
