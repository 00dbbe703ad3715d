"""Counts, sizes and durations as text. Uses the standard library only: some commands run before installation."""


def pluralize(number: int, name: str, plural: str = "") -> str:
    """Format a number of things, such as `1 row` or `1,000 rows`. `plural` is for names that do not end in s."""
    return f"{number:,} {name if number == 1 else plural or f'{name}s'}"


def format_size(number: float) -> str:
    """Format a number of bytes."""
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.0f} {unit}"
        number /= 1000
    return f"{number:.1f} TB"


def format_duration(seconds: float) -> str:
    """Format a duration in its largest unit."""
    for unit, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= length:
            return pluralize(int(seconds // length), unit)
    return f"{seconds:.0f} s"
