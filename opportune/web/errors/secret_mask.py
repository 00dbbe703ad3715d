"""Mask of the site's secrets in values and texts for developers and operators."""

import re
import reprlib
from typing import Self
from urllib.parse import unquote

from pydantic import SecretStr

from opportune.config.settings import Settings
from opportune.schemas.masks import MASK, SECRET_NAME, mask_pairs

PASSWORD_IN_URL = re.compile(r"://[^:/@]*:([^@/]+)@")


class SecretMask:
    """Replaces secrets in values and texts, and shortens long values."""

    def __init__(self, secrets: list[str]) -> None:
        # Whole words, also after \n in a repr.
        self._secrets = re.compile(rf"(?:(?<!\w)|(?<=\\[nrt]))(?:{'|'.join(map(re.escape, secrets)) or '(?!)'})(?!\w)")
        self._repr = reprlib.Repr()
        self._repr.maxstring = self._repr.maxother = 300
        self._repr.maxdict = self._repr.maxlist = self._repr.maxtuple = 20

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Mask the secrets of the settings."""
        values = [value.get_secret_value() for _, value in settings if isinstance(value, SecretStr)]
        # A password that is also the user or part of the driver's name is in every path of the driver.
        matches = filter(None, map(PASSWORD_IN_URL.search, values))
        passwords = [match[1] for match in matches if match.string.count(match[1]) == 1]
        secrets = {*values, *passwords, *map(unquote, passwords)}
        return cls(sorted((secret for secret in secrets if len(secret) > 5), key=len, reverse=True))

    def mask_value(self, name: str, value: object) -> str:
        """Return the shortened repr of a value, masked if its name is that of a secret."""
        if SECRET_NAME.search(name):
            return MASK
        try:
            return self.mask_text(self._repr.repr(value))
        except Exception as error:  # noqa: BLE001 - any repr, such as of an expired row
            return f"<{type(value).__name__}: its repr raises {type(error).__name__}>"

    def mask_text(self, text: str) -> str:
        """Mask the secrets of the settings, pairs such as `token=…`, and passwords in URLs."""
        return mask_pairs(self._secrets.sub(MASK, text))
