"""Counts in words. Needs no package, as commands that run before any is installed."""


def counted(number: int, name: str, plural: str = "") -> str:
    """A number of things, as `1 row` or `1,000 rows`; `plural` where that is not the name with an s."""
    return f"{number:,} {name if number == 1 else plural or f'{name}s'}"
