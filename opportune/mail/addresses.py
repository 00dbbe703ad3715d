"""Addresses of e-mails: recipients and the sender."""

import re
from contextlib import suppress
from email.errors import MessageError
from email.headerregistry import Address
from ipaddress import ip_address
from urllib.parse import urlsplit

from email_validator import EmailNotValidError, validate_email

from opportune.config.email_domains import accept_development_domains
from opportune.config.settings import Settings
from opportune.config.site_url import site_url
from opportune.errors import OperatorError
from opportune.mail.errors import InvalidEmailError

WITH_NAME = re.compile(r"(?P<name>.*)<(?P<email>[^<>]*)>")
# Also what only some programs take for the end of a line.
CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def single_line(what: str, value: str) -> str:
    """Strip control characters from the value of a header.

    Raises:
        InvalidEmailError: a line break in it would begin another header.
    """
    if "\r" in value or "\n" in value:
        raise InvalidEmailError(f"The {what} of an e-mail must be one line.")
    return CONTROL_CHARACTERS.sub(" ", value).strip()


def parse_recipient(text: str) -> Address:
    """Parse a recipient, with or without a name; the domain becomes what servers spell.

    Raises:
        InvalidEmailError: it is no address that mail can reach.
    """
    name, email = _parts("address", text)
    accept_development_domains(email)
    try:
        found = validate_email(email, check_deliverability=False)
    except EmailNotValidError as error:
        raise InvalidEmailError(f"{email or 'Nothing'} is no e-mail address. {error}") from None
    return Address(name, username=found.local_part, domain=found.ascii_domain)


def sender_address(settings: Settings) -> Address:
    """The sender: MAIL_FROM, or `noreply` at the site's host, by the name of the site.

    Raises:
        OperatorError: MAIL_FROM is no address.
    """
    if not settings.mail_from:
        return Address(settings.site_name, "noreply", _domain(site_url(settings)))
    with suppress(InvalidEmailError, MessageError, ValueError, IndexError):  # what Python says to broken ones
        name, email = _parts("MAIL_FROM", settings.mail_from)
        found = Address(name, addr_spec=email)
        if found.addr_spec.isascii() and found.username and found.domain:
            return found
    raise OperatorError(
        "MAIL_FROM is no e-mail address: write site@example.org, or Site <site@example.org>; "
        "a domain with letters like ü as xn--…"
    )


def _parts(what: str, text: str) -> tuple[str, str]:
    """Split `Ada <ada@example.org>` into name and e-mail."""
    line = single_line(what, text)
    named = WITH_NAME.fullmatch(line)
    return (named["name"].strip(' "'), named["email"].strip()) if named else ("", line)


def _domain(site: str) -> str:
    """The host of an address, or `localhost` for one without a name."""
    host = urlsplit(site).hostname or ""
    try:
        ip_address(host)
    except ValueError:
        return host
    return "localhost"
