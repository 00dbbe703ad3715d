"""Which version of the project this is."""

import tomllib
from contextlib import suppress

from app.core.settings import PROJECT


def project_version() -> str:
    """What pyproject.toml says."""
    with suppress(OSError):
        version: str = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
        return version
    return "unknown"
