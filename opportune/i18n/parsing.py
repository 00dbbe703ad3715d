"""Numbers and dates as visitors type them.

Texts may be in the format of the visitor's language, or in machine format, which the inputs of browsers send.
"""

import re
import unicodedata
from datetime import date, time
from decimal import Decimal
from functools import lru_cache

from opportune.i18n.formats import is_english
from opportune.i18n.languages import get_language

MAX_LENGTH = 100
MACHINE_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
DAY = re.compile(r"(\d{1,4})[^\da-zA-Z]{1,3}(\d{1,2})[^\da-zA-Z]{1,3}(\d{1,4})[^\da-zA-Z]?", re.ASCII)
MOMENT = re.compile(r"(.+?)[T,\s]\s*(\d{1,2}:\d\d(?::\d\d)?)")
MIN_YEAR_OF_LAST_CENTURY = 69
"""Years of two digits are those from 1969 to 2068."""
MAX_MONTH = 12
EQUIVALENTS = str.maketrans({"\u2212": "-", "\u066a": "%", "\u2019": "'"})
"""Minus sign, Arabic percent sign, and the apostrophe between groups of digits in Switzerland."""


def parse_number(text: str, *, unit: str = "", is_whole: bool = False) -> Decimal:
    """Parse a number in the format of the visitor's language, or in machine format: `1.234,5` or `1234.5` in German.

    A number that both formats allow is in machine format, unless it `is_whole`: `1.234` in German is a decimal number,
    but 1234 for a whole one.

    Args:
        text: The text, with any Unicode digits.
        unit: A unit that may stand before or after the number, such as `%`, `kg` or the currency `EUR`.
        is_whole: Whether only whole numbers are valid, so that a point can only separate groups of digits.

    Raises:
        ValueError: it is not a number.
    """
    if len(text) <= MAX_LENGTH and text.isascii() and MACHINE_NUMBER.fullmatch(text) and not (is_whole and "." in text):
        return Decimal(text)
    from babel import numbers

    locale = get_language().locale
    decimal, group = numbers.get_decimal_symbol(locale), numbers.get_group_symbol(locale)
    plain = _normalize(text.replace("\u066b", decimal).replace("\u066c", group))
    for symbol in filter(None, (unit, numbers.get_currency_symbol(unit, locale))):
        plain = plain.removeprefix(_normalize(symbol)).removesuffix(_normalize(symbol)).strip()
    is_machine = MACHINE_NUMBER.fullmatch(plain)
    is_local = _number_pattern(_normalize(decimal), _normalize(group) or " ").fullmatch(plain)
    if is_local and (is_whole or not is_machine):
        return Decimal(plain.replace(_normalize(group) or " ", "").replace(_normalize(decimal), "."))
    if is_machine:
        return Decimal(plain)
    raise ValueError("not a number")


@lru_cache(100)
def _number_pattern(decimal: str, group: str) -> re.Pattern[str]:
    point, separator = re.escape(decimal), re.escape(group)
    whole = rf"(?:\d{{1,3}}(?:{separator}\d{{2,3}})*{separator}\d{{3}}|\d*)"  # groups of two digits in India
    return re.compile(rf"(?=.*\d)[+-]?{whole}(?:{point}\d*)?", re.ASCII)


def parse_date(text: str) -> date:
    """Parse a date such as 2026-12-31, or in the format of the visitor's language: `31.12.2026` in German.

    English accepts both orders of day and month, and refuses 3/4/2026, which can mean two days.

    Raises:
        ValueError: it is not a date.
    """
    match = DAY.fullmatch(_normalize(text))
    if not match:
        raise ValueError("not a date")
    values = dict(zip(_date_order(match[1], match[2]), match.groups(), strict=True))
    year = int(values["y"])
    if len(values["y"]) <= 2:
        year += 2000 if year < MIN_YEAR_OF_LAST_CENTURY else 1900
    return date(year, int(values["M"]), int(values["d"]))


def _date_order(first: str, second: str) -> str:
    """Return the order of year, month and day in a date that begins with these numbers. Raises ValueError."""
    if len(first) > 2:
        return "yMd"
    if not is_english():
        from babel import dates

        return "".join(sorted("yMd", key=str(dates.get_date_format("short", get_language().locale).pattern).index))
    if first != second and max(int(first), int(second)) <= MAX_MONTH:
        raise ValueError("day and month cannot be told apart")
    return "dMy" if int(first) > MAX_MONTH else "Mdy"


def parse_moment(text: str) -> str:
    """Return a date and a time in ISO format, such as 2026-12-31T18:30. The date has a format of `parse_date`.

    Raises:
        ValueError: it is not a date with a time.
    """
    match = MOMENT.fullmatch(_normalize(text))
    if not match:
        raise ValueError("not a date and a time")
    clock = match[2].rjust(len(match[2]) + (match[2][1] == ":"), "0")
    time.fromisoformat(clock)
    return f"{parse_date(match[1]).isoformat()}T{clock}"


def _normalize(text: str) -> str:
    """Return a text with ASCII digits and spaces, and without invisible marks of direction."""
    if len(text) > MAX_LENGTH:
        raise ValueError("too long")
    return "".join(map(_plain_character, unicodedata.normalize("NFKC", text).translate(EQUIVALENTS))).strip()


def _plain_character(character: str) -> str:
    match unicodedata.category(character):
        case "Nd":
            return str(unicodedata.decimal(character))
        case "Cf":
            return ""
        case "Zs":
            return " "
    return character
