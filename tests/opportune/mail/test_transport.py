"""Transports that MAIL_URL selects."""

import logging
from pathlib import Path

import pytest

from opportune.errors import OperatorError
from opportune.mail.delivery import send_email
from opportune.mail.factory import transport_for
from opportune.mail.smtp import SmtpTransport
from opportune.mail.transport import ConsoleTransport, FileTransport, PermanentDeliveryError
from opportune.project.layout import PROJECT
from tests.opportune.mail.conftest import email_to, settings_with


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("console:", ConsoleTransport(shows_text=True)),
        ("file:./data/mail", FileTransport(PROJECT / "data/mail")),
        ("smtp://localhost", SmtpTransport("localhost", 25, "", "", "offered")),
        ("smtp://127.0.0.1:1025?tls=none", SmtpTransport("127.0.0.1", 1025, "", "", "none")),
        (
            "smtp://a%40b.c:p%2Fq%25@mail.example.org:2525",
            SmtpTransport("mail.example.org", 2525, "a@b.c", "p/q%", "required"),
        ),
        ("smtp://mail.example.org?tls=required", SmtpTransport("mail.example.org", 25, "", "", "required")),
        ("smtps://a:b@[::1]:4650", SmtpTransport("::1", 4650, "a", "b", "implicit")),
    ],
)
def test_mail_url_selects_the_transport(url: str, expected: ConsoleTransport | FileTransport | SmtpTransport) -> None:
    transport = transport_for(settings_with(url))
    assert transport == expected
    if isinstance(transport, SmtpTransport) and len(transport.password) > 1:
        assert transport.password not in f"{transport!r} {transport.name}"


INVALID_URLS = """
    hunter2 file: console:hunter2 smtp:// smtp://a:hun/ter2@example.org smtp://a:hunter2#1@example.org
    smtp://a:hunter2@example.org:port smtp://a:hunter2@[::1 smtp://hunter2@example.org
    smtp://a:hunter2@example.org?tls=maybe smtps://a:hunter2@example.org?tls=none
"""


@pytest.mark.parametrize("url", ["", *INVALID_URLS.split()])
def test_error_of_invalid_mail_url_hides_the_password(url: str) -> None:
    with pytest.raises(OperatorError, match=r"^MAIL_URL .*\.$") as error:
        transport_for(settings_with(url))
    assert "hun" not in str(error.value)


async def test_console_logs_the_email(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "opportune.mail")
    await send_email(settings_with(), email_to(text="Line one.\nLine two: Zoë\n"))
    assert caplog.messages[:3] == ["Mail to ada@example.com: Hello", "| Line one.", "| Line two: Zoë"]


async def test_console_refuses_emails_in_production(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "opportune.mail")
    settings = settings_with(environment="production")
    with pytest.raises(PermanentDeliveryError, match=r"^Not sent: MAIL_URL is console:"):
        await send_email(settings, email_to(text="https://example.org/reset/secret"))
    assert caplog.messages == []


async def test_folder_has_one_file_per_email(tmp_path: Path) -> None:
    settings = settings_with(f"file:{tmp_path}/mail")
    email = email_to(date="Fri, 20 Nov 2026 13:35:00 +0000")
    for message in (email, email, email_to(message_id="<4567@example.org>", date="Fri, 20 Nov 2026 13:36:00 +0000")):
        await send_email(settings, message)
    files = sorted((tmp_path / "mail").iterdir())
    assert [path.name for path in files] == ["20261120T133500-0123abcd.eml", "20261120T133600-4567.eml"]
    assert b"Subject: Hello\r\n" in files[0].read_bytes()
    assert files[0].stat().st_mode & 0o077 == 0
