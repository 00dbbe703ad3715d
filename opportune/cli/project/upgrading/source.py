"""Where releases come from: a folder, an archive, or a git address with or without a tag."""

import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from opportune.cli.environment.entry import PREPARED
from opportune.cli.output import progress
from opportune.cli.project.git import Git, GitError
from opportune.cli.project.release import Record, files_in, parse_version
from opportune.cli.project.upgrading.archive import MAX_ARCHIVE_BYTES, SUFFIXES, unpack
from opportune.errors import OperatorError

VERSION = re.compile(r"""^__version__ = ["']([^"']+)["']""", re.MULTILINE)
REQUIRES_PYTHON = re.compile(r"""^requires-python = ">=(\d+)\.(\d+)""", re.MULTILINE)
TIMEOUT_SECONDS = 60
"""Without an answer."""
STARTPROJECT_TIMEOUT_SECONDS = 300
GIT_TIMEOUT_SECONDS = 600
"""Of one command, also while it asks somebody for a password."""
TAG = re.compile(r"(.+)@([^@/:]+)")
LOCAL_OPTIONS = (
    *("-c", "core.hooksPath=/dev/null", "-c", "core.autocrlf=false"),
    *("-c", "protocol.ext.allow=never", "-c", "protocol.fd.allow=never", "-c", "advice.detachedHead=false"),
    *("-c", "http.lowSpeedLimit=1", "-c", f"http.lowSpeedTime={TIMEOUT_SECONDS}"),
)
"""For clones that are thrown away: bytes as they were released, and nothing that runs or waits for ever."""


@dataclass(frozen=True)
class Release:
    """A release of the framework, in a folder."""

    root: Path
    version: str
    repository: str = ""
    """The git address that has the other releases too, by their tags."""
    revision: str = "HEAD"
    """What was taken from there."""


def fetch_release(source: str, folder: Path) -> Release:
    """Bring a release into a new folder; one that is a folder is read where it is.

    Raises:
        OperatorError: there is nothing there, or something else than a release.
    """
    path = Path(source).expanduser()
    if (path / "opportune").is_dir():
        repository = str(path.resolve()) if (path / ".git").exists() else ""
        return replace(release_in(path, source), repository=repository)
    if path.is_file():
        return release_in(unpack(path, folder), source)
    scheme, where = urlsplit(source).scheme, urlsplit(source).path
    if scheme == "http":
        raise OperatorError(f"{redacted(source)}: what is to be run is taken by https alone.")
    if scheme == "https" and where.endswith(SUFFIXES):
        return release_in(unpack(download(source, folder.with_name(Path(where).name)), folder), source)
    address, tag = match.groups() if (match := TAG.fullmatch(source)) else (source, "")
    local = Path(address).expanduser()
    if source.startswith("-") or not (scheme or ":" in address or local.exists()):
        raise OperatorError(f"There is no {redacted(source)}: give a folder, a .zip or .tar.gz, or a git address.")
    return from_git(str(local.resolve()) if local.exists() else address, tag, folder)


def release_in(root: Path, source: str) -> Release:
    """The release in a folder.

    Raises:
        OperatorError: it is none, has links that lead elsewhere, or wants another Python.
    """
    marks = (root / "opportune/__init__.py", root / "oppman.py", root / "pyproject.toml")
    found = VERSION.search(_text(marks[0])) if all(mark.is_file() for mark in marks) else None
    try:
        version = found[1] if found else ""
        parse_version(version)
    except ValueError:
        raise OperatorError(f"{redacted(source)} is no release of Opportune.") from None
    whole = root.resolve()
    if outside := next((file for file in files_in(root) if not (root / file).resolve().is_relative_to(whole)), None):
        raise OperatorError(f"{redacted(source)} has a link that leads out of it ({outside}): it is no release.")
    wanted = REQUIRES_PYTHON.search(_text(marks[2]))
    if wanted and sys.version_info < (int(wanted[1]), int(wanted[2])):
        raise OperatorError(f"Opportune {version} needs Python {wanted[1]}.{wanted[2]}; this is {sys.version[:4]}.")
    return Release(root, version)


def from_git(address: str, tag: str, folder: Path) -> Release:
    """Clone one release: that of the tag, else that of the newest tag `v…`, else what is there now."""
    git = Git(folder.parent, LOCAL_OPTIONS, timeout_seconds=GIT_TIMEOUT_SECONDS)
    try:
        tag = tag or newest_tag(git("ls-remote", "--tags", "--refs", "--", address))
        clone(git, address, tag, folder)
    except GitError as error:
        raise OperatorError(
            f"{redacted(source_of(address, tag))} cannot be fetched: {hidden(error, address)}"
        ) from error
    release = release_in(folder, source_of(address, tag))
    return replace(release, repository=address, revision=tag or "HEAD")


def source_of(address: str, tag: str) -> str:
    return f"{address}@{tag}" if tag else address


def newest_tag(refs: str) -> str:
    """The newest release that is no preview among what `git ls-remote` lists; empty if there is none."""
    tags = re.findall(r"\trefs/tags/(v\d+\.\d+(?:\.\d+)?)$", refs, re.MULTILINE)
    return max(tags, key=parse_version, default="")


def clone(git: Git, address: str, tag: str, folder: Path) -> None:
    """Clone one revision, without its history."""
    git("clone", "--quiet", "--depth", "1", *(["--branch", tag] if tag else []), "--", address, folder)


def older_release(release: Release, version: str, folder: Path) -> Path | None:
    """The release of another version from where this one came from; nothing where it cannot be had."""
    if not release.repository:
        return None
    try:
        git = Git(folder.parent, LOCAL_OPTIONS, timeout_seconds=GIT_TIMEOUT_SECONDS)
        clone(git, release.repository, f"v{version}", folder)
        return release_in(folder, release.repository).root
    except OperatorError:
        shutil.rmtree(folder, ignore_errors=True)
        return None


def download(address: str, file: Path) -> Path:
    """Fetch a file by https.

    Raises:
        OperatorError: it does not come, is too large, or is to be had without encryption alone.
    """
    import httpx  # noqa: PLC0415 - a folder needs no client

    def require_https(request: httpx.Request) -> None:
        if request.url.scheme != "https":
            raise httpx.UnsupportedProtocol("it leads on to an address without https")

    hooks = {"request": [require_https]}
    try:
        with (
            httpx.Client(follow_redirects=True, timeout=TIMEOUT_SECONDS, event_hooks=hooks) as client,
            client.stream("GET", address, headers={"Accept-Encoding": "identity"}) as response,
            file.open("wb") as written,
            progress("Downloading", unit="kB") as bar,
        ):
            response.raise_for_status()
            length = response.headers.get("Content-Length", "")
            bar.total = int(length) // 1000 if length.isdecimal() else None
            for chunk in response.iter_raw():
                written.write(chunk)
                bar.advance(written.tell() // 1000 - bar.done)
                if written.tell() > MAX_ARCHIVE_BYTES:
                    raise OperatorError(f"{redacted(address)} is larger than {MAX_ARCHIVE_BYTES // 1_000_000} MB.")
    except httpx.HTTPStatusError as error:
        raise OperatorError(f"{redacted(address)} is answered with {error.response.status_code}.") from error
    except httpx.HTTPError as error:
        raise OperatorError(f"{redacted(address)} cannot be fetched: {hidden(error, address)}") from error
    return file


def as_project(release: Release, record: Record | None, folder: Path) -> Path:
    """The folder with a release's files as a project like this one has them: `startproject` of that release makes it.

    Raises:
        OperatorError: it does not make one of these arguments any more.
    """
    if not record or not record.startproject:
        return release.root
    arguments = still_there(record.startproject, release.root)
    command = [sys.executable, "oppman.py", "startproject", *arguments, str(folder)]
    try:
        result = subprocess.run(
            command,
            cwd=release.root,
            env={**Git(folder).environment, "PYTHONDONTWRITEBYTECODE": "1", PREPARED: "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=STARTPROJECT_TIMEOUT_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise OperatorError(
            f"startproject of Opportune {release.version} took longer than {STARTPROJECT_TIMEOUT_SECONDS} seconds."
        ) from None
    if result.returncode:
        told = (result.stderr.strip() or "no reason").splitlines()[-1]
        raise OperatorError(f"startproject of Opportune {release.version} cannot make this project: {told}")
    return folder


def still_there(arguments: Sequence[str], root: Path) -> list[str]:
    """The arguments of startproject without the examples that a release does not have any more."""
    *words, examples = arguments
    if words[-1:] != ["--with"]:
        return list(arguments)
    return [*words, ",".join(name for name in examples.split(",") if (root / "app" / name).is_dir())]


def redacted(address: str) -> str:
    """An address without the password in it, or what its query and fragment may hold."""
    return re.sub(r"[?#].*", "?…", re.sub(r"(?<=://)[^/]*@", "", address), flags=re.DOTALL)


def hidden(error: Exception, address: str) -> str:
    """What an error says, without the password of an address."""
    return str(error).replace(address, redacted(address)).rstrip(".") + "."


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")
