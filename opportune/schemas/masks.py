"""Secrets in texts, recognized by the name before them or by their form.

Texts come from visitors, so each pattern needs time in proportion to the length of the text.
"""

import re

MASK = "••••••"
# Also after \n in a repr.
_START = r"(?:(?<![A-Za-z])|(?<=\\[nrt]))"
_WHOLE_WORDS = "|".join(
    rf"{_START}{word}s?(?![a-z])|{_START}{word.upper()}S?(?![A-Za-z])|{word.title()}s?(?![a-z])"
    for word in ("key", "auth", "pass", "session", "otp", "totp", "pw", "sig")
)
"""Words that are also parts of harmless ones, such as `author` and `keyword`."""
SECRET_NAME = re.compile(
    r"passw|passphrase|passcode|pwd|secret|token|cookie|credential|signature|hash|csrf|recovery|oauth|authoriz|authentic"
    rf"|(?:api|access|private|public|account|license|ssh)keys?|(?:db|user|smtp|mail|pg)pass|session_?id"
    rf"|(?-i:{_WHOLE_WORDS})",
    re.IGNORECASE,
)
_NAME = (
    rf"""(?:{SECRET_NAME.pattern})\w{{0,100}}+(?-i:(?<!Error)(?<!Violation)(?<!Exception)(?<!Warning))["']?"""
    r"[ \t]*+[=:][ \t]*+"
)
_QUOTED = """"[^"]*"|'[^']*'"""
# name='value', "name": 'value' and name=value inside other text
SECRET_PAIR = re.compile(rf"({_NAME})({_QUOTED}|(?:(?:Bearer|Basic) )?[^\s,;&)}}\]]+)", re.IGNORECASE)
QUOTED_PAIR = re.compile(rf"({_NAME})({_QUOTED})", re.IGNORECASE)
SECRET_URL = re.compile(r"(://[^\s:/@]*:)[^\s@/]+@")
SECRET_HEADER = re.compile(
    r"\b(Bearer|Basic) +(?!tokens?\b|auth|(?-i:[a-z]{1,15}) [a-z])[\w\-.~+/=]+",  # not "Basic usage is"
    re.IGNORECASE,
)
PRIVATE_KEY = re.compile(r"(-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----).*?(?=-----END|$)", re.DOTALL)
FRAME = re.compile(r"""^([ |+]*)File "[^"\n]+", line \d+.*(?:\n\1  .*)*""", re.MULTILINE)
"""A frame of a traceback: its file and the lines of its code."""
TOKEN = re.compile(
    r"(?P<id>(?<![\w\-=./])[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}(?![\w\-=.])|(?<=/)[\da-f]{32}\.\w{1,5}(?![\w\-=.]))"
    r"|\$argon2\S+|\$2[aby]\$\S+|\b[\w\-=]{20,}(?:\.[\w\-=]+)*"
)
"""Password hashes, keys and tokens; as `id` the UUIDs and names of uploads, which are no secrets."""
CODE_WORD = re.compile(r"(?<![a-z])(?:c[oó]d[ei]|pin\b|otp|tan\b)|コード|码|رمز", re.IGNORECASE)
CODE = re.compile(r"\b\d{6,10}\b")


def mask_pairs(text: str) -> str:
    """Mask pairs such as `token=…`, passwords in URLs, values of `Authorization`, and private keys.

    In the code of tracebacks, only quoted values of pairs are masked.
    """
    text = PRIVATE_KEY.sub(rf"\1{MASK}", SECRET_HEADER.sub(rf"\1 {MASK}", text))
    masked, end = [], 0
    for frame in FRAME.finditer(text):
        masked += [_mask_names(SECRET_PAIR, text[end : frame.start()]), _mask_names(QUOTED_PAIR, frame[0])]
        end = frame.end()
    return SECRET_URL.sub(rf"\1{MASK}@", "".join([*masked, _mask_names(SECRET_PAIR, text[end:])]))


def _mask_names(pairs: re.Pattern[str], text: str) -> str:
    return pairs.sub(rf"\1{MASK}", text)


def mask_tokens(text: str) -> str:
    """Mask what looks like a password hash, a key or a token, and numbers in a text about a code."""
    text = TOKEN.sub(_mask_token, text)
    return CODE.sub(MASK, text) if text.isdigit() or CODE_WORD.search(text) else text


def _mask_token(match: re.Match[str]) -> str:
    is_word = match[0][0] != "$" and not re.search(r"\d", match[0])
    return match[0] if match["id"] or is_word else MASK
