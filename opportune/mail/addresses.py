"""Addresses of e-mails, and other values of their headers."""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from email.errors import MessageError
from email.headerregistry import Address
from ipaddress import ip_address
from urllib.parse import urlsplit

from email_validator import EmailNotValidError, validate_email

from opportune.config.email_domains import accept_development_domains
from opportune.config.settings import Settings, site_url
from opportune.errors import OperatorError

WITH_NAME = re.compile(r"(?P<name>.*)<(?P<email>[^<>]*)>")
HEADER_NAME = re.compile(r"[A-Za-z0-9-]+")
FIELD_HEADERS = {"from", "to", "cc", "bcc", "reply-to", "subject", "date", "message-id", "mime-version"}
"""Headers with a separate field, also in the APIs of providers."""
# Includes characters that only some programs treat as line breaks.
CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class InvalidEmailError(ValueError):
    """An invalid e-mail. The message is one line with the reason."""


def single_line(field: str, value: str) -> str:
    """Remove control characters from the value of a header.

    Raises:
        InvalidEmailError: It contains a line break, which would begin another header.
    """
    if "\r" in value or "\n" in value:
        raise InvalidEmailError(f"The {field} of an e-mail must be one line.")  # not translated
    return CONTROL_CHARACTERS.sub(" ", value).strip()


def parse_recipient(text: str) -> Address:
    """Parse a recipient, with or without a name. The domain is converted to ASCII.

    Raises:
        InvalidEmailError: The address is invalid.
    """
    name, email = _split_name("address", text)
    accept_development_domains(email)
    try:
        validated = validate_email(email, check_deliverability=False)
    except EmailNotValidError as error:
        raise InvalidEmailError(f"'{email}' is not a valid e-mail address. {error}") from None
    return Address(name, username=validated.local_part, domain=validated.ascii_domain)


def parse_recipients(addresses: str | Sequence[str]) -> list[Address]:
    """Parse one recipient or several.

    Raises:
        InvalidEmailError: An address is invalid.
    """
    return [parse_recipient(text) for text in ([addresses] if isinstance(addresses, str) else addresses)]


def check_headers(headers: Mapping[str, str]) -> None:
    """Check the names and values of additional headers.

    Raises:
        InvalidEmailError: A name is invalid or has its own field, or a value has a line break.
    """
    for name, value in (headers or {}).items():
        has_field = name.lower() in FIELD_HEADERS or name.lower().startswith(("content-", "resent-"))
        if has_field or not HEADER_NAME.fullmatch(name):
            raise InvalidEmailError(f"'{name}' cannot be an additional header of an e-mail.")
        single_line(f"header {name}", str(value))


def sender_address(settings: Settings) -> Address:
    """Return the sender: MAIL_FROM, or by default `SITE_NAME <noreply@HOST>`.

    Raises:
        OperatorError: MAIL_FROM is invalid.
    """
    if not settings.mail_from:
        return Address(settings.site_name, "noreply", _mail_domain(site_url(settings)))
    with suppress(MessageError, ValueError, IndexError):  # raised for malformed addresses
        name, email = _split_name("MAIL_FROM", settings.mail_from)
        address = Address(name, addr_spec=email)
        if address.addr_spec.isascii() and address.username and address.domain:
            return address
    raise OperatorError(
        "MAIL_FROM is not a valid e-mail address. Write site@example.org, or Site <site@example.org>, "
        "and an international domain in ASCII (xn--…)."
    )


def _split_name(field: str, text: str) -> tuple[str, str]:
    """Split `Ada <ada@example.org>` into name and e-mail."""
    line = single_line(field, text)
    match = WITH_NAME.fullmatch(line)
    return (match["name"].strip(' "'), match["email"].strip()) if match else ("", line)


def _mail_domain(site: str) -> str:
    """Return the host of a URL, or `localhost` for an IP address."""
    host = urlsplit(site).hostname or ""
    try:
        ip_address(host)
    except ValueError:
        return host
    return "localhost"
