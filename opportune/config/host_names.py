"""Host names in the ASCII form of resolvers, browsers and certificates."""

MAX_LABEL_BYTES = 63


def ascii_host(name: str) -> str:
    """Encode a host name, with letters such as ü as `xn--…`. Return an empty string for an invalid name."""
    if name.isascii():  # avoids the slow import of Python's codec
        is_valid = all(0 < len(label) <= MAX_LABEL_BYTES for label in name.removesuffix(".").split("."))
        return name if is_valid else ""
    try:
        return name.encode("idna").decode()
    except UnicodeError:
        return ""
