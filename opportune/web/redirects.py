"""Check of redirect targets from the query, which must be paths of this site."""

from urllib.parse import unquote

MAX_ADDRESS_LENGTH = 2000


def safe_redirect_path(address: str | None, default: str = "/") -> str:
    """Return the address if it is a path of this site, else the default."""
    if not address or len(address) > MAX_ADDRESS_LENGTH:
        return default
    return address if all(map(_is_path, (address, unquote(address)))) else default


def _is_path(text: str) -> bool:
    # Browsers read a backslash as a slash, skip tabs and line ends, and read `//` as another host.
    return text.startswith("/") and not text.startswith("//") and "\\" not in text and text.isprintable()
