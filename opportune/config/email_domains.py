"""Domains for development, such as `ada@shop.test`, to which no e-mail can be delivered."""

import email_validator

from opportune.config.settings import get_settings

DEVELOPMENT_DOMAINS = {"test", "localhost"}
"""RFC 6761 reserves these, and `example`, which is always accepted."""


def accept_development_domains(value: object) -> object:
    """Return the value; the validator after this one accepts these domains unless this is production."""
    accepted = set() if get_settings().is_production else DEVELOPMENT_DOMAINS
    refused = email_validator.SPECIAL_USE_DOMAIN_NAMES  # its documentation has programs change this list
    refused[:] = {*refused, *DEVELOPMENT_DOMAINS} - accepted
    return value
