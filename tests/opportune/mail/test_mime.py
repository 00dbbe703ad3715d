"""Messages of e-mails: parts, headers and accessibility."""

from email import message_from_bytes
from email.message import EmailMessage as MIMEMessage
from email.policy import default
from pathlib import Path

import pytest
from fastapi import FastAPI
from playwright.async_api import Page

from opportune.accounts.models import User
from opportune.config.settings import Settings, load_settings
from opportune.errors import OperatorError
from opportune.mail import EmailMessage
from opportune.mail.addresses import sender_address
from opportune.mail.delivery import mime_message, send_email
from opportune.mail.email import render_email
from opportune.testing.factories import sign_in_browser
from opportune.testing.services.accessibility import find_violations
from tests.opportune.mail.conftest import email_to, settings_with


def render_and_parse(email: EmailMessage, mail_from: str = "") -> MIMEMessage:
    """Render an e-mail and parse it as a mail client does."""
    message = mime_message(email, sender_address(settings_with(mail_from=mail_from)))
    return message_from_bytes(message.as_bytes(), _class=MIMEMessage, policy=default)


def test_message_headers() -> None:
    message = render_and_parse(email_to(date="Fri, 20 Nov 2026 13:35:00 +0000"), "Site <site@example.org>")
    assert dict(message.items()) == {
        "From": "Site <site@example.org>",
        "To": "ada@example.com",
        "Subject": "Hello",
        "Date": "Fri, 20 Nov 2026 13:35:00 +0000",
        "Message-ID": "<0123abcd@example.org>",
        "Auto-Submitted": "auto-generated",
        "MIME-Version": "1.0",
        "Content-Type": 'text/plain; charset="utf-8"',
        "Content-Transfer-Encoding": "quoted-printable",
    }


def test_text_and_html_are_alternatives() -> None:
    message = render_and_parse(email_to(text="Zoë\n", html="<p>Zoë</p>"))
    assert message.get_content_type() == "multipart/alternative"
    assert [part.get_content().strip() for part in message.iter_parts()] == ["Zoë", "<p>Zoë</p>"]


def test_non_ascii_names_and_subjects_are_encoded() -> None:
    email = email_to("Łukasz, 東京 <ada@bücher.example.com>", subject="Żółw — שלום" * 9)
    raw = mime_message(email, sender_address(settings_with())).as_bytes()
    assert raw.isascii()
    message = render_and_parse(email)
    assert message["Subject"] == email.subject.strip()
    assert (message["To"].addresses[0].display_name, message["To"].addresses[0].addr_spec) == (
        "Łukasz, 東京",
        "ada@xn--bcher-kva.example.com",
    )


def test_long_lines_are_wrapped() -> None:
    email = email_to(text="x" * 5000, html="<p>" + "y" * 5000, subject="z" * 500)
    lines = mime_message(email, sender_address(settings_with())).as_bytes().splitlines()
    assert max(map(len, lines)) < 998
    assert render_and_parse(email).get_body(("plain",)).get_content().strip() == "x" * 5000  # type: ignore[union-attr]  # it has a text


def test_name_cannot_inject_an_address() -> None:
    (to,) = render_and_parse(email_to('"Eve" <all@example.net> <ada@example.com>'))["To"].addresses
    assert to.addr_spec == "ada@example.com"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, "Zoë's site <noreply@example.org>"),
        ({"base_url": "http://127.0.0.1:8000"}, "Zoë's site <noreply@localhost>"),
        ({"base_url": ""}, "Zoë's site <noreply@localhost>"),
        ({"mail_from": "root@intranet"}, "root@intranet"),
        ({"mail_from": "Zoë <site@example.org>"}, "Zoë <site@example.org>"),
    ],
)
def test_sender_is_mail_from_or_noreply(fields: dict[str, object], expected: str) -> None:
    settings = settings_with(site_name="Zoë's site", **fields)  # type: ignore[arg-type]  # fields of any type
    assert str(sender_address(settings)) == expected


@pytest.mark.parametrize(
    "values",
    [
        {"base_url": "https://bücher.example"},
        {"environment": "production", "secret_key": "k" * 16 + "0123456789abcdef", "allowed_hosts": "bücher.example"},
    ],
)
def test_domain_of_the_sender_is_ascii(values: dict[str, str]) -> None:
    assert sender_address(load_settings(**values)).domain == "xn--bcher-kva.example"


@pytest.mark.parametrize(
    "mail_from", ["site", "Site", "@", "a@", "a b@c.d", "ü@example.org", "s@ü.org", "a@b.c\nBcc: d"]
)
def test_invalid_mail_from_is_refused(mail_from: str) -> None:
    with pytest.raises(OperatorError, match=r"^MAIL_FROM is not a valid e-mail address\. .*$"):
        sender_address(settings_with(mail_from=mail_from))


THEME_SCRIPT = """<script>
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const follow = () => { document.documentElement.dataset.bsTheme = dark.matches ? "dark" : "light"; };
  dark.addEventListener("change", follow);
  follow();
</script>"""


async def test_mailbox_is_accessible(
    app: FastAPI, page: Page, superuser: User, site: str, mailbox_folder: Path
) -> None:
    development = settings_with(environment="development")
    await send_email(development, render_email(development, "ada@example.com", "mail/test", {}))
    await sign_in_browser(page, app, superuser, site)
    violations = []
    for path in ("/mailbox", None):
        await (page.goto(path) if path else page.locator("a.list-group-item").click())
        violations += await find_violations(page)
    assert not violations


async def test_emails_are_accessible(page: Page, settings: Settings) -> None:
    html = render_email(settings, "ada@example.com", "mail/test", {}).html
    await page.goto("about:blank")
    await page.set_content(html + THEME_SCRIPT)
    assert not await find_violations(page)
