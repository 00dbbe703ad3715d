"""Dates, numbers, amounts and lists by language."""

from datetime import date, timedelta
from decimal import Decimal

import pytest

from opportune.i18n import formats, use_language
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


def test_minus_stays_before_an_arabic_amount() -> None:
    with use_language("ar"):
        assert "\u200e-15.99" in format_money(Decimal("-15.99"), "EUR")
