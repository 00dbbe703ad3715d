"""Values in `.env`."""


def quoted_if_needed(value: str) -> str:
    """Quote a value that `.env` cannot hold in one line without quotes."""
    if value == value.strip() and not any(mark in value for mark in ("\n", " #", "'", '"')):
        return value
    escaped = value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
    return f'"{escaped}"'
