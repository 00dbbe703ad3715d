"""Counts as text. Uses the standard library only: some commands run before installation."""

from opportune.runtime.plurals import plural_of


def pluralize(number: int, name: str, plural: str = "") -> str:
    """Format a number of things, such as `1 row` or `1,000 rows`. `plural` is for names with another plural."""
    return f"{number:,} {name if number == 1 else plural or plural_of(name)}"
