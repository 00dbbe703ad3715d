"""Form in which e-mail addresses are compared, and domains for development, such as `ada@shop.test`."""

import unicodedata
from contextlib import suppress

import email_validator

from opportune.config.settings import get_settings

DEVELOPMENT_DOMAINS = {"test", "localhost"}
"""Reserved by RFC 6761, like `example`, which is always accepted."""


def accept_development_domains(value: object) -> object:
    """Let the next validator accept these domains outside production. Return the value unchanged."""
    accepted = set() if get_settings().is_production else DEVELOPMENT_DOMAINS
    refused = email_validator.SPECIAL_USE_DOMAIN_NAMES  # documented as changeable
    refused[:] = {*refused, *DEVELOPMENT_DOMAINS} - accepted
    return value


def normalize_email(email: str) -> str:
    """Return the form in which addresses are stored and compared: lower case, NFC, and the domain in Unicode."""
    email = email.strip()
    if not email.isascii() or "xn--" in email.lower():
        accept_development_domains(email)
        with suppress(email_validator.EmailNotValidError):
            email = email_validator.validate_email(email, check_deliverability=False).normalized
    return unicodedata.normalize("NFC", email.lower())
