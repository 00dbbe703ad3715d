"""Formatting of values for users."""

from decimal import Decimal

from opportune.i18n.formats import format_amount


def format_money(amount: Decimal | None, currency: str = "") -> str:
    """Format an amount, with the code of its currency: `{{ book.price | money("EUR") }}` is EUR 1,234.50."""
    if amount is None:
        return ""
    return format_amount(amount, currency)
