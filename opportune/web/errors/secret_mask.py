"""Mask of the site's secrets in values and texts for developers and operators."""

import re
import reprlib
import sys
from typing import Any, Self
from urllib.parse import unquote

from pydantic import SecretStr

from opportune.config.settings import Settings
from opportune.schemas.masks import MASK, SECRET_NAME, mask_pairs

PASSWORD_IN_URL = re.compile(r"://[^:/@]*:([^@/]+)@")
MAX_TEXT_LENGTH = 300
MAX_MASKED_LENGTH = 8_000
"""Characters of a long text that are masked before it is cut. Masking takes about a microsecond for each."""


class SecretMask(reprlib.Repr):
    """Replaces secrets in values and texts, and shortens long values."""

    def __init__(self, secrets: list[str]) -> None:
        super().__init__()
        self.maxother = sys.maxsize  # `repr_instance` cuts after it has masked
        self.maxdict = self.maxlist = self.maxtuple = 20
        # Whole words, also after \n in a repr.
        self._secrets = re.compile(rf"(?:(?<!\w)|(?<=\\[nrt]))(?:{'|'.join(map(re.escape, secrets)) or '(?!)'})(?!\w)")

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Mask the secrets of the settings."""
        values = [value.get_secret_value() for _, value in settings if isinstance(value, SecretStr)]
        # A password that is also the user or part of the driver's name is in every path of the driver.
        matches = filter(None, map(PASSWORD_IN_URL.search, values))
        passwords = [match[1] for match in matches if match.string.count(match[1]) == 1]
        secrets = {*values, *passwords, *map(unquote, passwords)}
        # A repr escapes backslashes and, in a text with both, single quotes.
        secrets |= {text for secret in secrets for text in (repr(secret)[1:-1], repr(f"{secret}'\"")[1:-4])}
        return cls(sorted((secret for secret in secrets if len(secret) > 5), key=len, reverse=True))

    def mask_value(self, name: str, value: object) -> str:
        """Return the shortened repr of a value, masked if its name is that of a secret."""
        if SECRET_NAME.search(name):
            return MASK
        try:
            return self.mask_text(self.repr(value))
        except Exception as error:  # noqa: BLE001 - any repr, such as of an expired row
            return f"<{type(value).__name__}: its repr raises {type(error).__name__}>"

    def repr_instance(self, x: Any, level: int) -> str:
        """Mask a value before it is cut, so that no part of a secret remains."""
        return _cut(self.mask_text(_cut(super().repr_instance(x, level), MAX_MASKED_LENGTH)), MAX_TEXT_LENGTH)

    repr_str = repr_instance

    def mask_text(self, text: str) -> str:
        """Mask the secrets of the settings, pairs such as `token=…`, and passwords in URLs."""
        return mask_pairs(self._secrets.sub(MASK, text))


def _cut(text: str, length: int) -> str:
    """Leave out the middle of a long text. The quotes at its ends remain, by which pairs are recognized."""
    return text if len(text) <= length else f"{text[: length // 2]}...{text[-length // 2 :]}"
