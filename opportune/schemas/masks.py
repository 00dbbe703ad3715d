"""Secrets in texts: `mask_pairs` recognizes them by the name before them, and `mask_tokens` by their form.

Texts come from visitors, so each pattern needs time in proportion to the length of the text.
"""

import re
from typing import Any

MASK = "••••••"

PARTS_OF_NAMES = (
    "passw|passphrase|passcode|pwd|secret|token|cookie|credential|signature|hash|csrf"
    "|recovery|oauth|authoriz|authentic|session_?id"
    "|(?:api|access|private|public|account|license|ssh)keys?|(?:db|user|smtp|mail|pg)pass"
)
"""Pattern for parts of which one in a name is enough, in any case."""
WORDS_IN_NAMES = ("key", "auth", "pass", "session", "otp", "totp", "pw", "sig")
"""Words that are also parts of harmless ones, such as `author` and `keyword`."""


def _whole_word(word: str) -> str:
    """Return a pattern for a word and its plural in `api_key`, `API_KEY` and `apiKey`, also after \\n in a repr."""
    start = r"(?:(?<![A-Za-z])|(?<=\\[nrt]))"
    return rf"{start}{word}s?(?![a-z])|{start}{word.upper()}S?(?![A-Za-z])|{word.title()}s?(?![a-z])"


SECRET_NAME = re.compile(rf"{PARTS_OF_NAMES}|(?-i:{'|'.join(map(_whole_word, WORDS_IN_NAMES))})", re.IGNORECASE)
NAME_AND_SIGN = rf"""
    (?P<name>
        (?:{SECRET_NAME.pattern}) \w{{0,100}}+
        (?-i: (?<!Error) (?<!Violation) (?<!Exception) (?<!Warning) )  # an exception and its message
        ["']? [ \t]*+ [=:] [ \t]*+
    )
"""
QUOTED = """ "[^"]*" | '[^']*' """
"""Values of pairs such as `name='value'` and `"name": "value"`."""
QUOTED_OR_PLAIN = rf"{QUOTED} | (?:(?:Bearer|Basic)[ ])? [^\s,;&)}}\]]+"
"""The same, and values without quotes in other text, such as `name=value`."""
FRAME = re.compile(r"""^([ |+]*)File "[^"\n]+", line \d+.*(?:\n\1  .*)*""", re.MULTILINE)
"""A frame of a traceback: its file and the lines of its code."""
PASSWORD_IN_URL = re.compile(r"(://[^\s:/@]*:)[^\s@/]+@")
CREDENTIALS = re.compile(
    r"""
    \b (Bearer|Basic) [ ]+
    (?! tokens?\b | auth | (?-i: [a-z]{1,15} [ ] [a-z]) )  # a sentence, such as "Basic usage is"
    [\w\-.~+/=]+
    """,
    re.IGNORECASE | re.VERBOSE,
)
"""Values of the header `Authorization`."""
PRIVATE_KEY = re.compile(r"(-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----).*?(?=-----END|$)", re.DOTALL)

TOKEN = re.compile(
    r"""
    (?<![\w\-=./]) (?P<uuid>[\da-f]{8} (?:-[\da-f]{4}){3} -[\da-f]{12}) (?![\w\-=.])
    | (?<=/) (?P<upload>[\da-f]{32} \.\w{1,5}) (?![\w\-=.])
    | (?P<password_hash>\$argon2\S+ | \$2[aby]\$\S+)
    | \b [\w\-=]{20,} (?:\.[\w\-=]+)*  # a key or token, or a long word
    """,
    re.VERBOSE,
)
CODE_WORD = re.compile(r"(?<![a-z])(?:c[oó]d[ei]|pin\b|otp|tan\b)|コード|码|رمز", re.IGNORECASE)
CODE = re.compile(r"\b\d{6,10}\b")


def mask_pairs(text: str) -> str:
    """Mask pairs such as `token=…`, passwords in URLs, values of `Authorization`, and private keys.

    In the code of tracebacks, only quoted values of pairs are masked.
    """
    text = CREDENTIALS.sub(rf"\1 {MASK}", text)
    text = PRIVATE_KEY.sub(rf"\1{MASK}", text)
    masked = ""
    end = 0
    for frame in FRAME.finditer(text):
        masked += _mask_values(QUOTED_OR_PLAIN, text[end : frame.start()]) + _mask_values(QUOTED, frame[0])
        end = frame.end()
    masked += _mask_values(QUOTED_OR_PLAIN, text[end:])
    return PASSWORD_IN_URL.sub(rf"\1{MASK}@", masked)


def _mask_values(values: str, text: str) -> str:
    # Compiled on first use, because that takes milliseconds and most processes mask nothing.
    return re.sub(f"(?ix) {NAME_AND_SIGN} (?:{values})", rf"\g<name>{MASK}", text)


def mask_tokens(text: str) -> str:
    """Mask what looks like a password hash, a key or a token, and numbers in a text about a code."""
    text = TOKEN.sub(_mask_token, text)
    is_about_code = text.isdigit() or CODE_WORD.search(text)
    return CODE.sub(MASK, text) if is_about_code else text


def _mask_token(match: re.Match[str]) -> str:
    """Keep UUIDs, names of uploads, and words without digits, which are no secrets."""
    text = match[0]
    if match["uuid"] or match["upload"]:
        return text
    is_secret = match["password_hash"] or re.search(r"\d", text)
    return MASK if is_secret else text


def mask_json(value: Any) -> Any:
    """Return a value of JSON in which secrets are masked by their names and by their form."""
    if isinstance(value, dict):
        return {name: MASK if SECRET_NAME.search(name) else mask_json(item) for name, item in value.items()}
    if isinstance(value, list):
        return [mask_json(item) for item in value]
    return mask_tokens(mask_pairs(value)) if isinstance(value, str) else value
