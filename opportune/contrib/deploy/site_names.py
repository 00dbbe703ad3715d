"""Names of a site at a host: its technical name, domain and repository."""

import re
from dataclasses import dataclass
from pathlib import Path

from opportune.config.host_names import ascii_host
from opportune.errors import OperatorError
from opportune.project.pyproject import PYPROJECT, read_pyproject

NAME = re.compile(r"[a-z](?:[a-z0-9-]{0,28}[a-z0-9])?")
"""Names that all hosts accept."""
DOMAIN = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}", re.IGNORECASE)
EXAMPLE_DOMAIN = "example.org"
EXAMPLE_REPOSITORY = "OWNER/REPOSITORY"
GITHUB = re.compile(r"github\.com[:/]([\w.-]+/[\w.-]+?)(?:\.git)?/?\s*$")


@dataclass(frozen=True)
class SiteNames:
    name: str
    """Technical name: letters from a to z, digits and -."""
    title: str
    """Name for visitors."""
    domain: str = EXAMPLE_DOMAIN
    repository: str = EXAMPLE_REPOSITORY
    """Repository on GitHub."""


def project_name(folder: Path) -> str:
    """Return the name in `pyproject.toml`, shortened for hosts, or "" if there is none."""
    data = read_pyproject(folder) if (folder / PYPROJECT).exists() else {}
    name = re.sub(r"[^a-z0-9-]+", "-", str(data.get("project", {}).get("name", "")).lower())[:30].strip("-")
    return name if NAME.fullmatch(name) else ""


def require_name(name: str) -> str:
    """Return the name, if all hosts accept it."""
    if not NAME.fullmatch(name):
        raise OperatorError(
            f"{name[:40]!r} is not a valid name: use 1 to 30 of a-z, 0-9 and -, beginning with a letter (--name)."
        )
    return name


def require_domain(domain: str) -> str:
    """Return the domain without https:// and trailing slash."""
    host_name = ascii_host(re.sub(r"^https?://|/+$", "", domain.strip()))
    if not DOMAIN.fullmatch(host_name):
        raise OperatorError(f"{domain[:60]!r} is not a domain: write it like example.org.")
    return host_name.lower()


def github_repository(remote: str) -> str:
    """Return `owner/name` from the URL of a git remote, or an example if it is not on GitHub."""
    match = GITHUB.search(remote)
    return match[1] if match else EXAMPLE_REPOSITORY
