"""Secrets in texts, recognized by the name before them or by their form."""

import re

MASK = "••••••"
SECRET_NAME = re.compile(
    r"pass|pwd|secret|token|key|auth|cookie|session|credential|signature|hash|csrf|otp|recovery|\b(?:pw|sig)\b",
    re.IGNORECASE,
)
# The lengths are limited, because searching a very long word would block the event loop.
# name='value', "name": 'value' and name=value inside other text
SECRET_PAIR = re.compile(
    rf"""(["']?\b\w{{0,40}}(?:{SECRET_NAME.pattern})\w{{0,40}}["']?\s*[=:]\s*)("[^"]*"|'[^']*'|[^\s,;&)}}\]]+)""",
    re.IGNORECASE,
)
SECRET_URL = re.compile(r"(\b\w{1,20}://[^\s:/@]{0,200}:)[^\s@/]{1,200}@")
SECRET_HEADER = re.compile(r"\b(Bearer|Basic) [\w\-.~+/=]+")
PRIVATE_KEY = re.compile(r"(-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----).*?(?=-----END|$)", re.DOTALL)
TOKEN = re.compile(r"\$argon2\S+|\$2[aby]\$\S+|\b(?=[\w\-.=]*\d)[\w\-=]{20,}(?:\.[\w\-=]+)*|\b\d{6,10}\b")
"""Password hashes, keys and tokens, and codes of six or more digits."""


def mask_pairs(text: str) -> str:
    """Mask pairs such as `token=…`, passwords in URLs, values of `Authorization`, and private keys."""
    text = PRIVATE_KEY.sub(rf"\1{MASK}", SECRET_HEADER.sub(rf"\1 {MASK}", text))
    return SECRET_URL.sub(rf"\1{MASK}@", SECRET_PAIR.sub(rf"\1{MASK}", text))


def mask_tokens(text: str) -> str:
    """Mask what looks like a password hash, a key, a token or a code."""
    return TOKEN.sub(MASK, text)
