"""What of httpx a site can do without: its command line, which imports Rich and Pygments where they are installed."""

import sys


def install() -> None:
    """Have httpx imported without it from now on, as where they are not installed."""
    for name in ("httpx._main", "httpx2._main"):
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]  # which Python takes for a module that is missing
