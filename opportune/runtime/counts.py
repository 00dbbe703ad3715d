"""Counts as text. Uses the standard library only: some commands run before installation."""


def pluralize(number: int, name: str, plural: str = "") -> str:
    """Format a number of things, such as `1 row` or `1,000 rows`. `plural` is for names that do not end in s."""
    return f"{number:,} {name if number == 1 else plural or f'{name}s'}"
