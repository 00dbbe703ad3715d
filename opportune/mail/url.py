"""MAIL_URL of a provider with an API: `resend://KEY`, `mailgun://KEY@mg.example.org?region=eu`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import parse_qsl, unquote

from opportune.errors import OperatorError


@dataclass(frozen=True)
class MailURL:
    """What stands behind the `://` of such a MAIL_URL."""

    key: str = field(repr=False)
    """With which the provider knows us."""
    where: str = ""
    """What stands behind the `@`: a domain, a region."""
    options: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse what stands behind the `://`. In the key %40 is an @, %3F a ? and %25 a %.

        Raises:
            OperatorError: there is no key; the message shows nothing of it.
        """
        address, _, options = text.partition("?")
        key, at, where = address.rpartition("@") if "@" in address else (address, "", "")
        key = unquote(key.rstrip("/") if not at else key)
        # Nothing else can be in a header, and what HTTP clients say of it would quote it.
        if not re.fullmatch(r"[\x21-\x7e]+", key):
            raise OperatorError("MAIL_URL has no key between :// and its end (or an @), or one that no key looks like.")
        return cls(key, where.rstrip("/").lower(), dict(parse_qsl(options, keep_blank_values=True)))
