"""Names of hosts as resolvers, browsers and certificates spell them."""

MAX_LABEL_BYTES = 63


def ascii_host(name: str) -> str:
    """The name with letters such as ü as `xn--…`; empty where there can be no such host."""
    if name.isascii():  # most are, and Python's codec takes a while to import
        fits = all(0 < len(label) <= MAX_LABEL_BYTES for label in name.removesuffix(".").split("."))
        return name if fits else ""
    try:
        return name.encode("idna").decode()
    except UnicodeError:
        return ""
