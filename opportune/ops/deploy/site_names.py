"""What a site is called in the files of hosts."""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opportune.config.host_names import ascii_host
from opportune.errors import OperatorError

NAME = re.compile(r"[a-z](?:[a-z0-9-]{0,28}[a-z0-9])?")
"""What every host takes for a site."""
DOMAIN = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}", re.IGNORECASE)
EXAMPLE_DOMAIN = "example.org"
GITHUB = re.compile(r"github\.com[:/]([\w.-]+/[\w.-]+?)(?:\.git)?/?\s*$")


@dataclass(frozen=True)
class SiteNames:
    name: str
    """For programs: letters from a to z, digits and -."""
    title: str
    """For visitors."""
    domain: str = EXAMPLE_DOMAIN
    repository: str = "OWNER/REPOSITORY"
    """Of GitHub."""


def project_name(folder: Path) -> str:
    """What `pyproject.toml` calls the project; empty where it has no name that hosts take."""
    try:
        data: dict[str, Any] = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""
    name = re.sub(r"[^a-z0-9-]+", "-", str(data.get("project", {}).get("name", "")).lower())[:30].strip("-")
    return name if NAME.fullmatch(name) else ""


def require_name(name: str) -> str:
    """The name as it is given.

    Raises:
        OperatorError: hosts would not take it.
    """
    if not NAME.fullmatch(name):
        raise OperatorError(
            f"{name[:40]!r} is no name for a site: 1 to 30 of a-z, 0-9 and -, a letter first. Give one with --name."
        )
    return name


def require_domain(domain: str) -> str:
    """The domain as it is given, without what is often written before and behind it.

    Raises:
        OperatorError: it is none.
    """
    bare = ascii_host(re.sub(r"^https?://|/+$", "", domain.strip()))
    if not DOMAIN.fullmatch(bare):
        raise OperatorError(f"{domain[:60]!r} is no domain: write it as example.org.")
    return bare.lower()


def github_repository(remote: str) -> str:
    """The `owner/name` in the address of a git remote; empty where it is elsewhere."""
    found = GITHUB.search(remote)
    return found[1] if found else ""
