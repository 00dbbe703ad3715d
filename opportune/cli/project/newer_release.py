"""The release to which a project is upgraded: fetched, compared with the installed one, and its notes."""

import re
from collections.abc import Iterator
from pathlib import Path

from packaging.version import InvalidVersion, Version

from opportune import __version__
from opportune.cli.project.release import NAME, Release, hash_of, install_from_index, read_release
from opportune.cli.project.shared_files import STARTER
from opportune.errors import OperatorError

COUNTED = ("Added", "Changed", "Fixed")
"""Headings of the changelog whose entries need no action."""


def fetch_release(source: str, folder: Path) -> Release:
    """Install a wheel, or a version of the package index, into a folder."""
    location, _, fragment = source.partition("#")
    wheel = Path(location).expanduser()
    if "://" in location:
        raise OperatorError("A release cannot be an address. Download its wheel first, or enter its version.")
    if wheel.is_dir():
        raise OperatorError(f"{wheel} is a folder. In a clone of Opportune, build a wheel: uv build --wheel")
    if wheel.is_file():
        if fragment and fragment != f"sha256={hash_of(wheel)}":
            raise OperatorError(f"{wheel} does not have the hash {fragment}. Download it again, or check it.")
        release = read_release(wheel, folder / "release")
    elif _is_version(location):
        release = install_from_index(location.removeprefix("v"), folder / "release")
    else:
        raise OperatorError(f"{location} does not exist. Enter a wheel or a version.")
    if not _is_version(release.version) or not (release.root / NAME / STARTER).is_dir():
        raise OperatorError(f"{source} is not a release of Opportune that a project can use.")
    return release


def _is_version(text: str) -> bool:
    try:
        Version(text)
    except InvalidVersion:
        return False
    return True


def is_newer(release: Release, pinned_hash: str) -> bool:
    """Return whether the release is newer than the project's. Refuse an older one, and another wheel of its version."""
    if Version(release.version) < Version(__version__):
        raise OperatorError(
            f"The release {release.version} is older than the project's {__version__}. To go back, use git revert."
        )
    if Version(release.version) == Version(__version__):
        if release.hash != pinned_hash:  # installers do not replace a package by another one of its version
            raise OperatorError(f"This is another wheel of {__version__}. Build it with a higher version.")
        print(f"This project already uses {__version__}.")
        return False
    return True


def notes_between(changelog: str, new_version: str) -> Iterator[str]:
    """Yield the lines of the changelog that need action for an upgrade to a version, newest release first."""
    for section in re.split(r"^## +", changelog, flags=re.MULTILINE)[1:]:
        title, *parts = re.split(r"^### +", section, flags=re.MULTILINE)
        version = title.split()[0].strip("[]")
        if _is_version(version) and Version(__version__) < Version(version) <= Version(new_version):
            yield f"{version}:"
            for part in parts:
                if not part.startswith(COUNTED):
                    yield from (f"  {line}" for line in part.splitlines() if line)
