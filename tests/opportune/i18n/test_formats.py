"""Numbers, dates, amounts and lists in the format of a language, as pages show them and visitors type them."""

from contextlib import nullcontext
from datetime import date, timedelta
from decimal import Decimal

import pytest

from opportune.i18n import formats, use_language
from opportune.i18n.parsing import Source, parse_date, parse_moment, parse_number
from opportune.web import format_date
from opportune.web.rendering.environment import format_money

DAY = date(2026, 11, 3)


@pytest.mark.parametrize(
    ("language", "day", "month"),
    [("en", "3 Nov 2026", "Nov 2026"), ("de", "03.11.2026", "Nov. 2026"), ("ja", "2026/11/03", "2026年11月")],
)
def test_dates_have_the_format_of_the_language(language: str, day: str, month: str) -> None:
    with use_language(language):
        assert (format_date(DAY), formats.format_month(DAY)) == (day, month)


@pytest.mark.parametrize(
    ("language", "texts"),
    [
        ("en", ["12,345", "1.50", "25%", "EUR\N{NO-BREAK SPACE}1,234.50", "a, b and c", "3 hours ago"]),
        ("de", ["12.345", "1,50", "25\xa0%", "1.234,50\xa0€", "a, b und c", "vor 3 Stunden"]),
    ],
)
def test_numbers_and_lists_by_language(language: str, texts: list[str]) -> None:
    with use_language(language):
        assert [
            formats.format_number(Decimal("12345.00")),
            formats.format_number(1.5, 2),
            formats.format_percent(0.25),
            format_money(Decimal("1234.5"), "EUR"),
            formats.format_list(["a", "b", "c"]),
            formats.format_age(timedelta(hours=3)),
        ] == texts


def test_signs_keep_their_place_in_an_arabic_amount() -> None:
    with use_language("ar"):
        assert format_money(Decimal("-15.99"), "USD") == "\u200f\u200e-15.99\xa0US$\u200e"


ARABIC = {ord(","): "\u066c", ord("."): "\u066b"} | {ord("0") + digit: 0x660 + digit for digit in range(10)}
FULL_WIDTH = {code: code + 0xFEE0 for code in range(ord("!"), ord("~"))}


@pytest.mark.parametrize(
    ("language", "text", "number"),
    [
        ("en", "1234.5", "1234.5"),
        ("en", "1,234", "1234"),
        ("en", "-1,234,567.5", "-1234567.5"),
        ("en", "1e3", "1000"),
        ("de", "1.234,56", "1234.56"),
        ("de", "1,234", "1.234"),
        ("de", "1.234", "1.234"),  # machine format
        ("de", "1.234.567", "1234567"),
        ("de", " \u22123,5 ", "-3.5"),
        ("fr", "1\u202f234,5", "1234.5"),
        ("de-CH", "1'234.50", "1234.50"),
        ("en-IN", "12,34,567", "1234567"),
        ("ar", "1,234.5".translate(ARABIC), "1234.5"),
        ("ja", "1,234.5".translate(FULL_WIDTH), "1234.5"),
    ],
)
def test_numbers(language: str, text: str, number: str) -> None:
    with use_language(language):
        assert parse_number(text) == Decimal(number)


@pytest.mark.parametrize(
    ("language", "texts"),
    [
        ("en", {"1,000": 1000, "12": 12, "1.0": 1, "-0": 0, "1e3": 1000, "1,000".translate(FULL_WIDTH): 1000}),
        ("de", {"1.000": 1000, "1.234.567": 1234567, "1,0": 1, "1.0": 1, "1,000".translate(ARABIC): 1000}),
        ("de-CH", {"1'000": 1000}),
    ],
)
def test_whole_numbers(language: str, texts: dict[str, int]) -> None:
    with use_language(language):
        assert {text: parse_number(text, decimals=0) for text in texts} == texts


AMBIGUOUS = {"en": "1.000 1.000,5 1.000.000 1,0 0,125 12,34,567", "de": "1,000 1'000 12.34.567", "fr": "1.000 1,000"}


@pytest.mark.parametrize(("language", "text"), [(code, text) for code in AMBIGUOUS for text in AMBIGUOUS[code].split()])
def test_numbers_of_other_languages_are_not_whole(language: str, text: str) -> None:
    with use_language(language), pytest.raises(ValueError, match="not a"):
        parse_number(text, decimals=0)


def test_source_decides_between_formats_and_units_are_left_out() -> None:
    with use_language("de"):
        assert [parse_number("1.234", source=source) for source in Source] == [Decimal("1.234"), 1234, Decimal("1.234")]
        for text, source in (("12.5", Source.LANGUAGE), ("0.125", Source.LANGUAGE), ("12,5", Source.MACHINE)):
            with pytest.raises(ValueError, match="not a number"):
                parse_number(text, source=source)
        for text, unit in (("٪12,5", "%"), ("12,5 €", "EUR"), ("12,5kg", "kg")):
            assert parse_number(text, unit=unit) == Decimal("12.5")


@pytest.mark.parametrize("text", ["", ",", "1,2,3", "1.23.4", "1_000", "12 €", "nan", "1e9999", "e5", "--1", "9" * 200])
@pytest.mark.parametrize("language", ["en", "ar"])
def test_other_texts_are_no_numbers(language: str, text: str) -> None:
    with use_language(language), pytest.raises(ValueError, match=r"not a number|too long"):
        parse_number(text)


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "2026-12-31"),
        ("en", "12/31/2026"),
        ("en-GB", "31/12/2026"),
        ("de", "31.12.2026"),
        ("de", "31. 12. 26"),
        ("ar", "31\u200f/12\u200f/2026".translate(ARABIC)),
        ("ja", "2026年12月31日"),
        ("ja", "2026/12/31".translate(FULL_WIDTH)),
    ],
)
def test_dates(language: str, text: str) -> None:
    with use_language(language):
        assert parse_date(text) == date(2026, 12, 31)


@pytest.mark.parametrize(
    ("language", "text"),
    [("en", "3/4/2026"), ("de", "12/31/2026"), ("de", "31.12."), ("de", "31.2.2026"), ("de", "heute")],
)
def test_other_texts_are_no_dates(language: str, text: str) -> None:
    with use_language(language), pytest.raises(ValueError, match=r"date|day|month"):
        parse_date(text)


@pytest.mark.parametrize(
    ("text", "clock"), [("6:30 PM", "18:30"), ("12:05 am", "00:05"), ("12:00 p.m.", "12:00"), ("13:00 PM", "")]
)
def test_times_with_half_a_day(text: str, clock: str) -> None:
    with use_language("en"), nullcontext() if clock else pytest.raises(ValueError, match="hour"):
        assert parse_moment(f"12/31/2026, {text}") == f"2026-12-31T{clock}"


def test_dates_with_a_time() -> None:
    with use_language("de"):
        texts = [parse_moment(text) for text in ("31.12.2026 9:05", "31.12.2026, 18:30", "2026-12-31T18:30:15")]
        with pytest.raises(ValueError, match=r"hour|time"):
            parse_moment("31.12.2026 25:00")
    assert texts == ["2026-12-31T09:05", "2026-12-31T18:30", "2026-12-31T18:30:15"]
