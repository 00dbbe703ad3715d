"""Dates, durations, numbers, sizes, amounts and lists in the language of the request, job or e-mail."""

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal

from opportune.config.languages import PSEUDO_LANGUAGE, SOURCE_LANGUAGE
from opportune.i18n.directions import is_right_to_left, isolate
from opportune.i18n.languages import current_language, get_language
from opportune.plurals import pluralize

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
DURATIONS = (("day", 86_400), ("hour", 3_600), ("minute", 60))
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
SIZES = {"B": "byte", "kB": "kilobyte", "MB": "megabyte", "GB": "gigabyte", "TB": "terabyte"}


def is_english() -> bool:
    """Return whether the current language has the formats of English, which need no library."""
    return current_language.get() in (SOURCE_LANGUAGE, PSEUDO_LANGUAGE)


def format_day(day: date) -> str:
    """Format a day: 3 Nov 2026, or 03.11.2026 in German."""
    if is_english():
        return f"{day.day} {MONTHS[day.month - 1]} {day.year}"
    from babel import dates

    return dates.format_date(day, "medium", get_language().locale)


def format_weekday(day: date) -> str:
    """Format a day with its weekday: Tue 3 Nov 2026."""
    if is_english():
        return f"{DAYS[day.weekday()]} {format_day(day)}"
    return _format_skeleton("yMMMEd", day)


def format_month_day(day: date) -> str:
    """Format a day without its year: 3 Nov."""
    if is_english():
        return f"{day.day} {MONTHS[day.month - 1]}"
    return _format_skeleton("MMMd", day)


def format_clock(moment: datetime | time, *, with_zone: bool = False) -> str:
    """Format the time of day: 10:05, or 10:05 CET."""
    if is_english():
        clock = f"{moment.hour:02}:{moment.minute:02}"
        if not with_zone:
            return clock
        name = moment.tzname() or "UTC"
        zone = f"UTC{name}" if name[0] in "+-" else name  # a zone without a name, such as +03
        return f"{clock} {zone}"
    from babel import dates

    locale = get_language().locale
    clock = dates.format_time(moment, "short", moment.tzinfo, locale=locale)
    if not with_zone:
        return clock
    zone = dates.get_timezone_name(moment, "short", locale=locale)
    return f"{clock} {dates.get_timezone_gmt(moment, 'long', locale=locale) if zone[:1] in '+-' else zone}"


def format_moment(moment: datetime) -> str:
    """Format a time with its zone: 3 Nov 2026, 10:05 CET."""
    clock = format_clock(moment, with_zone=True)
    if is_english():
        return f"{format_day(moment)}, {clock}"
    from babel import dates

    pattern = str(dates.get_datetime_format("medium", locale=get_language().locale)).replace("'", "")
    return pattern.format(clock, format_day(moment.date()))


def format_month(month: date) -> str:
    """Format a month with its year: Nov 2026."""
    if is_english():
        return f"{MONTHS[month.month - 1]} {month.year}"
    return _format_skeleton("yMMM", month)


def _format_skeleton(skeleton: str, day: date) -> str:
    from babel import dates

    return dates.format_skeleton(skeleton, day, locale=get_language().locale)


def format_number(number: float | Decimal, digits: int | None = None) -> str:
    """Format a number with separators: 1,234.5. `digits` is the number of digits after the point."""
    if is_english():
        if digits is not None:
            return f"{number:,.{digits}f}"
        return f"{number:,}" if isinstance(number, int) else f"{number:,.3f}".rstrip("0").rstrip(".")
    from babel import numbers

    pattern = None if digits is None else f"#,##0.{'0' * digits}".rstrip(".")
    return numbers.format_decimal(number, pattern, get_language().locale)


def localize_number(text: str) -> str:
    """Convert a formatted number such as 1,234.5 to the separators of the visitor's language. All digits are kept."""
    if is_english():
        return text
    from babel import numbers

    locale = get_language().locale
    return text.translate({ord(","): numbers.get_group_symbol(locale), ord("."): numbers.get_decimal_symbol(locale)})


def format_percent(ratio: float | Decimal) -> str:
    """Format a ratio in percent: `0.25` is 25%."""
    if is_english():
        return f"{ratio:,.0%}"
    from babel import numbers

    return numbers.format_percent(ratio, locale=get_language().locale)


def format_amount(amount: Decimal, currency: str = "") -> str:
    """Format an amount with its currency: EUR 1,234.50, or 1.234,50 € in German, in one line."""
    if is_english():
        return f"{currency}\N{NO-BREAK SPACE}{amount:,.2f}".strip()
    from babel import numbers

    if not currency:
        return format_number(amount, 2)
    text = numbers.format_currency(amount, currency, locale=get_language().locale)
    # Right-to-left text would move a minus sign behind the digits, and the sign of US$ before its letters.
    return text.replace("\u200f-", "\u200f\u200e-").replace("$", "$\u200e") if is_right_to_left() else text


def format_list(items: Sequence[str], style: str = "standard") -> str:
    """Join items: "a, b and c". The style `or` joins alternatives."""
    if is_english():
        *first, last = items or [""]
        word = "or" if style == "or" else "and"
        return f"{', '.join(first)} {word} {last}" if first else last
    from babel import lists

    return lists.format_list([isolate(item) for item in items], style, get_language().locale)  # type: ignore[arg-type]


def format_size(number: float) -> str:
    """Format a number of bytes in its largest unit: 110 MB."""
    for symbol in SIZES:
        if number < 1000 or symbol == "TB":
            break
        number /= 1000
    digits = 1 if symbol == "TB" else 0
    if is_english():
        return f"{number:.{digits}f} {symbol}"
    from babel import units

    return units.format_unit(round(number, digits), f"digital-{SIZES[symbol]}", "short", locale=get_language().locale)


def format_duration(seconds: float) -> str:
    """Format a duration in its largest unit: 3 hours."""
    if is_english():
        lengths = ((unit, length) for unit, length in DURATIONS if seconds >= length)
        return next((pluralize(int(seconds // length), unit) for unit, length in lengths), f"{seconds:.0f} s")
    from babel import dates

    return dates.format_timedelta(timedelta(seconds=seconds), threshold=1, locale=get_language().locale)


def format_age(age: timedelta) -> str:
    """Format the time since or until an event: "3 hours ago", or "in 3 hours" for a negative age."""
    from babel import dates

    return dates.format_timedelta(-age, add_direction=True, locale=get_language().locale)


def week_start(day: date) -> date:
    """Return the first day of a day's week: a Monday, or a Sunday in languages such as `pt-BR`.

    The first week of the calendar may have fewer days.
    """
    first_weekday = 0 if is_english() else get_language().locale.first_week_day
    return date.fromordinal(max(day.toordinal() - (day.weekday() - first_weekday) % 7, date.min.toordinal()))
