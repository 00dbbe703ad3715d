"""Masking of secrets in values, log lines and SQL."""

import re
from collections.abc import Mapping
from datetime import date, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from opportune.config.settings import Settings
from opportune.web.errors.debug_page import MASK, SECRET_NAME, SecretMask

MAX_VALUE_LENGTH = 80
MAX_VALUES = 30
SCALARS = (bool, int, float, Decimal, date, time, timedelta, UUID)
TOKEN = re.compile(r"\$argon2\S+|\$2[aby]\$\S+|\b(?=[\w\-.=]*\d)[\w\-=]{20,}(?:\.[\w\-=]+)*|\b\d{6,10}\b")
"""Password hashes, keys and tokens, and codes of six or more digits."""
LITERAL = re.compile(r"'(?:[^']|'')*'")
"""A text inside SQL."""
MAX_LITERAL_LENGTH = 20


class PanelMask:
    """Hides secrets by their name, their form, or their value in the settings."""

    def __init__(self, settings: Settings) -> None:
        self.secrets = SecretMask.of(settings)

    def text(self, text: str, max_length: int) -> str:
        """Mask secrets in a text and shorten it."""
        masked = TOKEN.sub(MASK, self.secrets.mask_text(text[: 2 * max_length]))
        return masked if len(masked) <= max_length else f"{masked[:max_length]}…"

    def sql(self, sql: str) -> str:
        """Mask long texts inside SQL."""
        return LITERAL.sub(lambda match: match[0] if len(match[0]) <= MAX_LITERAL_LENGTH else f"'{MASK}'", sql)

    def values(self, values: Mapping[str, Any]) -> dict[str, str]:
        """Return the values of a statement. Long values are only described."""
        return {name: self.value(name, values[name]) for name in [*values][:MAX_VALUES]}

    def value(self, name: str, value: object) -> str:
        if value is None or isinstance(value, bool):
            return str(value)
        if SECRET_NAME.search(name):
            return MASK
        if isinstance(value, SCALARS):
            return str(value)
        if isinstance(value, str) and len(value) <= MAX_VALUE_LENGTH:
            return repr(self.text(value, MAX_VALUE_LENGTH))
        size = f", length {len(value)}" if isinstance(value, str | bytes | list | tuple | dict) else ""
        return f"<{type(value).__name__}{size}>"
