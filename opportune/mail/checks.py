"""Checks of the mail settings."""

from collections.abc import Iterator
from contextlib import suppress

from opportune.config.settings import Settings
from opportune.errors import OperatorError
from opportune.feature import Finding
from opportune.mail.addresses import InvalidEmailError, parse_recipient
from opportune.mail.factory import transport_for
from opportune.mail.transport import ConsoleTransport


def check_admin_email(settings: Settings) -> Iterator[Finding]:
    if settings.admin_email:
        try:
            parse_recipient(settings.admin_email)
        except InvalidEmailError as error:
            yield Finding(f"ADMIN_EMAIL is invalid, so its link would reach no one. {error}")


def check_mail(settings: Settings) -> Iterator[Finding]:
    with suppress(OperatorError):  # `check_urls` reports it
        if isinstance(transport_for(settings), ConsoleTransport):
            yield Finding.warning(
                "MAIL_URL is console, so no e-mail is sent. Set smtp://user:password@host:587, or a provider over "
                "HTTPS if the host blocks that port (oppman.py docs mail)."
            )
    if settings.hosts and not settings.base_url:  # `check_hosts` reports it if both are empty
        yield Finding.warning("BASE_URL is empty, so links in e-mails have no host. Set it.")
