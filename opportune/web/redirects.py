"""Check of redirect targets from the query, which must be paths of this site."""

from urllib.parse import unquote

MAX_URL_LENGTH = 2000


def safe_redirect_path(url: str | None, default: str = "/") -> str:
    """Return the URL if it is a path of this site, else the default."""
    if not url or len(url) > MAX_URL_LENGTH:
        return default
    return url if all(map(_is_path, (url, unquote(url)))) else default


def _is_path(text: str) -> bool:
    # Browsers read a backslash as a slash, skip tabs and line ends, and read `//` as another host.
    return text.startswith("/") and not text.startswith("//") and "\\" not in text and text.isprintable()
