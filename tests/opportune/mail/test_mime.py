"""Messages of e-mails: parts, headers and accessibility."""

from email import message_from_bytes
from email.message import EmailMessage as MIMEMessage
from email.policy import default
from typing import Any

import pytest

from opportune.config.settings import load_settings
from opportune.errors import OperatorError
from opportune.mail import Attachment, EmailMessage, InvalidEmailError
from opportune.mail.addresses import sender_address
from opportune.mail.message import MAX_ATTACHMENT_MB
from opportune.mail.mime import mime_message
from opportune.mail.parts import split_message
from tests.opportune.mail.conftest import email_to, settings_with

LARGE_FILE = Attachment("a", bytes(MAX_ATTACHMENT_MB * 1024**2 + 1))


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


def test_non_ascii_names_and_subjects_are_encoded() -> None:
    email = email_to("Łukasz, 東京 <ada@bücher.example.com>", subject="Żółw — שלום" * 9)
    assert mime_message(email, sender_address(settings_with())).as_bytes().isascii()
    message = render_and_parse(email)
    assert message["Subject"] == email.subject.strip()
    to = message["To"].addresses[0]
    assert (to.display_name, to.addr_spec) == ("Łukasz, 東京", "ada@xn--bcher-kva.example.com")


def test_copies_replies_and_own_headers() -> None:
    email = email_to(
        ["ada@example.com", "Zoë <zoe@example.com>"],
        cc="cc@example.com",
        bcc=["bcc@example.com"],
        reply_to="Help <help@example.com>",
        headers={"List-Unsubscribe": "<https://example.org/out>", "Auto-Submitted": "no"},
    )
    message = render_and_parse(email)
    names = ("To", "Cc", "Bcc", "Reply-To", "List-Unsubscribe", "Auto-Submitted")
    recipients = ["ada@example.com, Zoë <zoe@example.com>", "cc@example.com", "bcc@example.com"]
    others = ["Help <help@example.com>", "<https://example.org/out>", "no"]
    assert [message[name] for name in names] == recipients + others


def test_files_are_attached_with_the_type_of_their_name() -> None:
    files = [Attachment("Über.pdf", b"%PDF"), Attachment("old.eml", b"Subject: A")]
    message = render_and_parse(email_to(html="<p>A text.</p>", attachments=files))
    assert message.get_content_type() == "multipart/mixed"
    parts = message.iter_attachments()
    attached = [(part.get_filename(), part.get_content_type(), part.get_payload(decode=True)) for part in parts]
    pdf = ("Über.pdf", "application/pdf", b"%PDF")
    assert attached == [pdf, ("old.eml", "application/octet-stream", b"Subject: A")]


def test_pictures_are_embedded_in_the_html() -> None:
    pictures = [Attachment(f"{name}.png", b"picture", content_id=name) for name in ("logo", "logo2")]
    message = mime_message(email_to(html='<img src="cid:logo">', attachments=pictures), sender_address(settings_with()))
    parts = split_message(message)
    assert (parts.html.strip(), parts.attachments) == ('<img src="cid:logo">', pictures)
    assert [part.get_content_type() for part in message.walk()].count("multipart/related") == 1


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"cc": "nobody"}, "'nobody' is not a valid e-mail address."),
        ({"reply_to": "a@example.com\nBcc: b@example.com"}, "The address of an e-mail must be one line."),
        ({"headers": {"X-Note": "a\r\nBcc: b@example.com"}}, "The header X-Note of an e-mail must be one line."),
        ({"headers": {"bcc": "b@example.com"}}, "'bcc' cannot be an additional header of an e-mail."),
        ({"headers": {"X: a\nBcc": "b"}}, "'X: a\nBcc' cannot be an additional header of an e-mail."),
        ({"attachments": [LARGE_FILE]}, "The files of an e-mail have at most 10 MB."),
        ({"attachments": [b"%PDF"]}, "EmailMessage(attachments=…) needs Sequence[Attachment], not [b'%PDF']."),
    ],
)
def test_email_that_cannot_be_sent_is_refused(fields: dict[str, Any], reason: str) -> None:
    with pytest.raises((InvalidEmailError, OperatorError)) as error:
        email_to(**fields)
    assert str(error.value).startswith(reason)


def test_attachment_with_line_break_in_its_id_is_refused() -> None:
    with pytest.raises(InvalidEmailError, match="An attachment needs a type"):
        Attachment("a.pdf", b"", content_id="<logo>\n")


def test_long_lines_are_wrapped() -> None:
    email = email_to(text="x" * 5000, html="<p>" + "y" * 5000, subject="z" * 500)
    assert max(map(len, mime_message(email, sender_address(settings_with())).as_bytes().splitlines())) < 998
    assert render_and_parse(email).get_body(("plain",)).get_content().strip() == "x" * 5000  # type: ignore[union-attr]  # it has a text


def test_name_cannot_inject_an_address() -> None:
    (to,) = render_and_parse(email_to('"Eve" <all@example.net> <ada@example.com>'))["To"].addresses
    assert to.addr_spec == "ada@example.com"


def test_sender_is_mail_from_or_noreply() -> None:
    for fields, expected in (
        ({}, "Zoë's site <noreply@example.org>"),
        ({"base_url": "http://127.0.0.1:8000"}, "Zoë's site <noreply@localhost>"),
        ({"mail_from": "Zoë <site@example.org>"}, "Zoë <site@example.org>"),
    ):
        settings = settings_with(site_name="Zoë's site", **fields)
        assert str(sender_address(settings)) == expected, fields


def test_domain_of_the_sender_is_ascii() -> None:
    assert sender_address(load_settings(base_url="https://bücher.example")).domain == "xn--bcher-kva.example"


@pytest.mark.parametrize("mail_from", ["site", "a@", "ü@example.org", "a@b.c\nBcc: d"])
def test_invalid_mail_from_is_refused(mail_from: str) -> None:
    with pytest.raises(OperatorError, match=r"^MAIL_FROM is not a valid e-mail address\. .*$"):
        sender_address(settings_with(mail_from=mail_from))
