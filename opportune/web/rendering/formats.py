"""How values are written for people."""

from decimal import Decimal


def format_money(amount: Decimal | None, currency: str = "") -> str:
    """Format an amount, with the sign of its currency: `{{ book.price | money("EUR") }}` is €1,234.50."""
    if amount is None:
        return ""
    if not currency:
        return f"{amount:,.2f}"
    from babel.numbers import format_currency  # noqa: PLC0415 - only who shows money needs it

    return str(format_currency(amount, currency, locale="en"))
