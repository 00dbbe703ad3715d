"""Counts, sizes and spans of time in words. Imports no package: some commands run before any is installed."""


def counted(number: int, name: str, plural: str = "") -> str:
    """A number of things, as `1 row` or `1,000 rows`; `plural` where that is not the name with an s."""
    return f"{number:,} {name if number == 1 else plural or f'{name}s'}"


def sized(number: float) -> str:
    """Format a number of bytes."""
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.0f} {unit}"
        number /= 1000
    return f"{number:.1f} TB"


def lasted(seconds: float) -> str:
    """Format a span of time in its largest unit."""
    for unit, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= length:
            return counted(int(seconds // length), unit)
    return f"{seconds:.0f} s"
