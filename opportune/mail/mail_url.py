"""MAIL_URL of a provider with an API over HTTPS."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import parse_qsl, unquote

from opportune.errors import OperatorError


@dataclass(frozen=True)
class MailUrl:
    """The part after `://`: `KEY`, or `KEY@mg.example.org?region=eu`."""

    key: str = field(repr=False)
    """Key of the API."""
    where: str = ""
    """The part after the `@`: a domain or a region."""
    options: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse the part after `://`. In the key, %40 means @, %3F means ? and %25 means %.

        Raises:
            OperatorError: The key is missing or invalid. The message does not quote it.
        """
        location, _, options = text.partition("?")
        key, _, where = location.rpartition("@") if "@" in location else (location.rstrip("/"), "", "")
        key = unquote(key)
        # Only these characters are valid in a header, and errors of HTTP clients would quote the key.
        if not re.fullmatch(r"[\x21-\x7e]+", key):
            raise OperatorError("MAIL_URL has no key after ://, or an invalid one.")
        return cls(key, where.rstrip("/").lower(), dict(parse_qsl(options, keep_blank_values=True)))
