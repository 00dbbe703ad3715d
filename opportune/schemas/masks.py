"""Secrets in texts, recognized by the name before them or by their form."""

import re

MASK = "••••••"
SECRET_NAME = re.compile(
    r"pass|secret|token|key|auth|cookie|session|credential|signature|hash|csrf|otp|recovery", re.IGNORECASE
)
# name='value', "name": 'value' and name=value inside other text
SECRET_PAIR = re.compile(
    rf"""(["']?\b\w*(?:{SECRET_NAME.pattern})\w*["']?\s*[=:]\s*)("[^"]*"|'[^']*'|[^\s,;&)}}\]]+)""", re.IGNORECASE
)
SECRET_URL = re.compile(r"(\w+://[^\s:/@]*:)[^\s@/]+@")
TOKEN = re.compile(r"\$argon2\S+|\$2[aby]\$\S+|\b(?=[\w\-.=]*\d)[\w\-=]{20,}(?:\.[\w\-=]+)*|\b\d{6,10}\b")
"""Password hashes, keys and tokens, and codes of six or more digits."""


def mask_pairs(text: str) -> str:
    """Mask pairs such as `token=…`, and passwords in URLs."""
    return SECRET_URL.sub(rf"\1{MASK}@", SECRET_PAIR.sub(rf"\1{MASK}", text))


def mask_tokens(text: str) -> str:
    """Mask what looks like a password hash, a key, a token or a code."""
    return TOKEN.sub(MASK, text)
