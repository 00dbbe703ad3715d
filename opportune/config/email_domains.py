"""Domains for development, such as `ada@shop.test`, to which no e-mail can be delivered."""

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
