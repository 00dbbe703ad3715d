"""Numbers, dates, yes and no as visitors type them.

Texts may be in the format of the visitor's language, or in machine format, which the inputs of browsers send.
"""

import re
import unicodedata
from datetime import date, time
from decimal import Decimal
from enum import Enum
from functools import lru_cache

from opportune.i18n.formats import is_english
from opportune.i18n.languages import get_language
from opportune.i18n.translation import gettext

MAX_LENGTH = 100
YES, NO = ("true", "yes", "y", "1", "on"), ("false", "no", "n", "0", "off")
MACHINE_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
DAY = re.compile(r"(\d{1,4})[^\da-zA-Z]{1,3}(\d{1,2})[^\da-zA-Z]{1,3}(\d{1,4})[^\da-zA-Z]?", re.ASCII)
MOMENT = re.compile(r"(.+?)[T,\s]\s*(\d{1,2})(:\d\d(?::\d\d)?)(?:\s*([AaPp])\.?[Mm]\.?)?")
HALF_DAY_HOURS = 12
MIN_YEAR_OF_LAST_CENTURY = 69
"""Years of two digits are those from 1969 to 2068."""
MAX_MONTH = 12
DAY_FIRST, MONTH_FIRST = "dMy", "Mdy"
"""Orders of day, month and year in a date."""
GROUP_LENGTH = 3
SHORT_GROUP_LENGTH = 2
"""Length of the groups of digits in India: 12,34,567."""
GROUP_OR_FRACTION = re.compile(r"\.\d{3}(?!\d)", re.ASCII)
"""End of a number that is a fraction in one language and a group of digits in another one."""
GROUP_OF_ZEROS = re.compile(r"\.000(?!\d)", re.ASCII)
ARABIC_DECIMAL, ARABIC_GROUP = "\u066b", "\u066c"
EQUIVALENTS = str.maketrans({"\u2212": "-", "\u066a": "%", "\u2019": "'"})
"""Minus sign, Arabic percent sign, and the apostrophe between groups of digits in Switzerland."""


class Source(Enum):
    """Origin of a text, which decides how its numbers and dates are read."""

    FORM = "form"
    """An input of a browser, which sends machine format or what the visitor typed."""
    LANGUAGE = "language"
    """A text in the format of the visitor's language only."""
    MACHINE = "machine"
    """A text that a program wrote."""


def parse_number(text: str, *, unit: str = "", decimals: int | None = None, source: Source = Source.FORM) -> Decimal:
    """Parse a number in the format of the visitor's language, or in machine format: `1.234,5` or `1234.5` in German.

    A form may send both formats, and a number that both allow is in machine format: `1.234` in German is a decimal
    number. With fewer than three `decimals`, the point can only separate groups, and `1.234` in German is 1234.

    Args:
        unit: A unit that may stand before or after the number, such as `%`, `kg` or the currency `EUR`.
        decimals: Number of valid decimals, such as 0 for whole numbers. If fewer than three are valid, three digits
            after the decimal separator are refused, because another language writes groups of digits like this.
        source: Origin of the text, which decides between the formats.

    Raises:
        ValueError: It is not a number in this format.
    """
    has_groups_only = decimals is not None and decimals < GROUP_LENGTH
    is_short = len(text) <= MAX_LENGTH and text.isascii()
    may_be_machine = source is not Source.LANGUAGE and not (has_groups_only and "." in text)
    if is_short and may_be_machine and MACHINE_NUMBER.fullmatch(text):
        return _unsigned_zero(Decimal(text))
    plain = _to_machine_format(text, unit, source, prefers_language=has_groups_only)
    ambiguous = GROUP_OR_FRACTION if decimals == 0 else GROUP_OF_ZEROS
    if has_groups_only and ambiguous.search(plain):
        raise ValueError("not a clear number")  # the model refuses other numbers with too many decimals
    return _unsigned_zero(Decimal(plain))


def _to_machine_format(text: str, unit: str, source: Source, *, prefers_language: bool) -> str:
    """Convert a number in the format of the visitor's language to machine format."""
    from babel import numbers

    locale = get_language().locale
    decimal = numbers.get_decimal_symbol(locale)
    group = numbers.get_group_symbol(locale)
    plain = _normalize(text.replace(ARABIC_DECIMAL, decimal).replace(ARABIC_GROUP, group))
    for symbol in map(_normalize, (unit, numbers.get_currency_symbol(unit, locale))):
        plain = plain.removeprefix(symbol).removesuffix(symbol).strip()
    decimal = _normalize(decimal)
    group = _normalize(group) or " "
    has_short_groups = locale.decimal_formats[None].grouping[1] == SHORT_GROUP_LENGTH
    is_local = _number_pattern(decimal, group, has_short_groups).fullmatch(plain) and source is not Source.MACHINE
    may_be_machine = source is not Source.LANGUAGE and ARABIC_GROUP not in text
    is_machine = may_be_machine and MACHINE_NUMBER.fullmatch(plain)
    if is_local and (prefers_language or not is_machine):
        return plain.replace(group, "").replace(decimal, ".")
    if is_machine:
        return plain
    raise ValueError("not a number")


def _unsigned_zero(number: Decimal) -> Decimal:
    return abs(number) if number == 0 else number


@lru_cache(100)
def _number_pattern(decimal: str, group: str, has_short_groups: bool) -> re.Pattern[str]:
    point = re.escape(decimal)
    separator = re.escape(group)
    middle = r"\d{2}" if has_short_groups else r"\d{3}"
    groups = rf"[1-9]\d{{0,2}}(?:{separator}{middle})*{separator}\d{{3}}"
    return re.compile(rf"(?=[^eE]*\d)[+-]?(?:{groups}|\d*)(?:{point}\d*)?(?:[eE][+-]?\d{{1,3}})?", re.ASCII)


def parse_date(text: str, order: str = "") -> date:
    """Parse a date such as 2026-12-31, or in the format of the visitor's language: `31.12.2026` in German.

    English accepts both orders of day and month, and refuses 3/4/2026, which can mean two days.

    Args:
        order: `DAY_FIRST` or `MONTH_FIRST`, instead of the order of the language.

    Raises:
        ValueError: It is not a date.
    """
    match = DAY.fullmatch(_normalize(text))
    if not match:
        raise ValueError("not a date")
    values = dict(zip(_date_order(match[1], match[2], order), match.groups(), strict=True))
    year = int(values["y"])
    if len(values["y"]) <= 2:
        year += 2000 if year < MIN_YEAR_OF_LAST_CENTURY else 1900
    return date(year, int(values["M"]), int(values["d"]))


def _date_order(first: str, second: str, order: str) -> str:
    """Return the order of year, month and day in a date that begins with these numbers."""
    if len(first) > 2:
        return "yMd"
    if order or not is_english():
        return order or language_date_order()
    if first != second and max(int(first), int(second)) <= MAX_MONTH:
        raise ValueError("day and month cannot be told apart")
    return DAY_FIRST if int(first) > MAX_MONTH else MONTH_FIRST


def language_date_order() -> str:
    """Return the order of year, month and day in dates of the visitor's language."""
    from babel import dates

    pattern = str(dates.get_date_format("short", get_language().locale).pattern)
    return "".join(sorted("yMd", key=pattern.index))


def parse_moment(text: str, order: str = "") -> str:
    """Return a date and a time such as `6:30 pm` in ISO format: 2026-12-31T18:30. The date is read by `parse_date`."""
    match = MOMENT.fullmatch(_normalize(text))
    if not match:
        raise ValueError("not a date and a time")
    day, hour, minutes, half = match.groups()
    clock = f"{_hour_of_day(int(hour), half):02}{minutes}"
    time.fromisoformat(clock)
    return f"{parse_date(day, order).isoformat()}T{clock}"


def _hour_of_day(hour: int, half: str | None) -> int:
    if not half:
        return hour
    if not 1 <= hour <= HALF_DAY_HOURS:
        raise ValueError("not an hour of half a day")
    since_start = hour % HALF_DAY_HOURS  # 12 is the first hour
    return since_start + HALF_DAY_HOURS if half in "pP" else since_start


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


def parse_yes_no(text: str) -> bool:
    """Read a yes or no that a user or a program has written, in English or in the current language.

    Raises:
        ValueError: The text is neither. The message is for the user.
    """
    word = text.lower()
    if word in (*YES, gettext("Yes").lower()):
        return True
    if word in (*NO, gettext("No").lower()):
        return False
    raise ValueError(gettext("Enter yes or no."))
