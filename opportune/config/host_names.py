"""Host names in the ASCII form of resolvers, browsers and certificates, and URLs with them."""

from urllib.parse import urlsplit

MAX_LABEL_BYTES = 63
LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")


def ascii_host(name: str) -> str:
    """Encode a host name, with letters such as ü as `xn--…`. Return an empty string for an invalid name."""
    if name.isascii():  # avoids the slow import of Python's codec
        is_valid = all(0 < len(label) <= MAX_LABEL_BYTES for label in name.removesuffix(".").split("."))
        return name if is_valid else ""
    try:
        return name.encode("idna").decode()
    except UnicodeError:
        return ""


def is_http_url(text: str) -> bool:
    """Return whether a text is a URL with http or https and a host."""
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # brackets, or a port out of range
        return False
