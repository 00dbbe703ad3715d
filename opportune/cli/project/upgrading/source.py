"""Sources of releases: a folder, an archive, or a git address with an optional tag."""

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
"""Timeout of a network connection without data."""
STARTPROJECT_TIMEOUT_SECONDS = 300
GIT_TIMEOUT_SECONDS = 600
"""Timeout of a git command, including time to enter a password."""
TAG = re.compile(r"(.+)@([^@/:]+)")
LOCAL_OPTIONS = (
    *("-c", "core.hooksPath=/dev/null", "-c", "core.autocrlf=false"),
    *("-c", "protocol.ext.allow=never", "-c", "protocol.fd.allow=never", "-c", "advice.detachedHead=false"),
    *("-c", "http.lowSpeedLimit=1", "-c", f"http.lowSpeedTime={TIMEOUT_SECONDS}"),
)
"""Options of temporary clones: unchanged line endings, no hooks, no unsafe protocols, and a timeout."""


@dataclass(frozen=True)
class Release:
    """A release of the framework, in a folder."""

    root: Path
    version: str
    repository: str = ""
    """Git address of all releases."""
    revision: str = "HEAD"
    """Tag of this release, or HEAD."""


def fetch_release(source: str, folder: Path) -> Release:
    """Fetch a release into a new folder. A local folder is used directly.

    Raises:
        OperatorError: the source cannot be fetched, or is not a release.
    """
    path = Path(source).expanduser()
    if (path / "opportune").is_dir():
        repository = str(path.resolve()) if (path / ".git").exists() else ""
        return replace(release_in(path, source), repository=repository)
    if path.is_file():
        return release_in(unpack(path, folder), source)
    scheme, url_path = urlsplit(source).scheme, urlsplit(source).path
    if scheme == "http":
        raise OperatorError(f"{redacted(source)}: releases cannot be downloaded over http. Use https.")
    if scheme == "https" and url_path.endswith(SUFFIXES):
        return release_in(unpack(download(source, folder.with_name(Path(url_path).name)), folder), source)
    address, tag = match.groups() if (match := TAG.fullmatch(source)) else (source, "")
    local = Path(address).expanduser()
    if source.startswith("-") or not (scheme or ":" in address or local.exists()):
        raise OperatorError(
            f"{redacted(source)} does not exist. Enter a folder, a .zip or .tar.gz file, or a git address."
        )
    return from_git(str(local.resolve()) if local.exists() else address, tag, folder)


def release_in(root: Path, source: str) -> Release:
    """Return the release in a folder.

    Raises:
        OperatorError: it is not a release, has links to files outside, or needs a newer Python.
    """
    files = (root / "opportune/__init__.py", root / "oppman.py", root / "pyproject.toml")
    match = VERSION.search(_text(files[0])) if all(file.is_file() for file in files) else None
    try:
        version = match[1] if match else ""
        parse_version(version)
    except ValueError:
        raise OperatorError(f"{redacted(source)} is not a release of Opportune.") from None
    real_root = root.resolve()
    if link := next((file for file in files_in(root) if not (root / file).resolve().is_relative_to(real_root)), None):
        raise OperatorError(f"{redacted(source)} has a link to a file outside ({link}). It is not a release.")
    python = REQUIRES_PYTHON.search(_text(files[2]))
    if python and sys.version_info < (int(python[1]), int(python[2])):
        raise OperatorError(f"Opportune {version} needs Python {python[1]}.{python[2]}; this is {sys.version[:4]}.")
    return Release(root, version)


def from_git(address: str, tag: str, folder: Path) -> Release:
    """Clone a release: the tag, otherwise the newest tag `v…`, otherwise HEAD."""
    git = Git(folder.parent, LOCAL_OPTIONS, timeout_seconds=GIT_TIMEOUT_SECONDS)
    try:
        tag = tag or newest_tag(git("ls-remote", "--tags", "--refs", "--", address))
        clone(git, address, tag, folder)
    except GitError as error:
        raise OperatorError(
            f"{redacted(source_of(address, tag))} cannot be fetched: {redacted_message(error, address)}"
        ) from error
    release = release_in(folder, source_of(address, tag))
    return replace(release, repository=address, revision=tag or "HEAD")


def source_of(address: str, tag: str) -> str:
    return f"{address}@{tag}" if tag else address


def newest_tag(refs: str) -> str:
    """Return the newest final release listed by `git ls-remote`; empty if there is none."""
    tags = re.findall(r"\trefs/tags/(v\d+\.\d+(?:\.\d+)?)$", refs, re.MULTILINE)
    return max(tags, key=parse_version, default="")


def clone(git: Git, address: str, tag: str, folder: Path) -> None:
    """Clone a revision without its history."""
    git("clone", "--quiet", "--depth", "1", *(["--branch", tag] if tag else []), "--", address, folder)


def older_release(release: Release, version: str, folder: Path) -> Path | None:
    """Return another version from the source of this release; None if it cannot be fetched."""
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
    """Download a file over https.

    Raises:
        OperatorError: the download fails, is too large, or is redirected to an unencrypted address.
    """
    import httpx  # noqa: PLC0415 - not needed for local sources

    def require_https(request: httpx.Request) -> None:
        if request.url.scheme != "https":
            raise httpx.UnsupportedProtocol("it redirects to an address without https")

    hooks = {"request": [require_https]}
    try:
        with (
            httpx.Client(follow_redirects=True, timeout=TIMEOUT_SECONDS, event_hooks=hooks) as client,
            client.stream("GET", address, headers={"Accept-Encoding": "identity"}) as response,
            file.open("wb") as output,
            progress("Downloading", unit="kB") as bar,
        ):
            response.raise_for_status()
            length = response.headers.get("Content-Length", "")
            bar.total = int(length) // 1000 if length.isdecimal() else None
            for chunk in response.iter_raw():
                output.write(chunk)
                bar.advance(output.tell() // 1000 - bar.done)
                if output.tell() > MAX_ARCHIVE_BYTES:
                    raise OperatorError(f"{redacted(address)} is larger than {MAX_ARCHIVE_BYTES // 1_000_000} MB.")
    except httpx.HTTPStatusError as error:
        raise OperatorError(f"{redacted(address)} returned status {error.response.status_code}.") from error
    except httpx.HTTPError as error:
        raise OperatorError(f"{redacted(address)} cannot be fetched: {redacted_message(error, address)}") from error
    return file


def as_project(release: Release, record: Record | None, folder: Path) -> Path:
    """Return a folder with the release's files as a project has them, created by `startproject` of that release.

    Raises:
        OperatorError: `startproject` fails with the arguments of this project.
    """
    if not record or not record.startproject:
        return release.root
    arguments = available_arguments(record.startproject, release.root)
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
        message = (result.stderr.strip() or "no error message").splitlines()[-1]
        raise OperatorError(f"startproject of Opportune {release.version} cannot create this project: {message}")
    return folder


def available_arguments(arguments: Sequence[str], root: Path) -> list[str]:
    """Return the arguments of startproject without the examples that the release no longer has."""
    *words, examples = arguments
    if words[-1:] != ["--with"]:
        return list(arguments)
    return [*words, ",".join(name for name in examples.split(",") if (root / "app" / name).is_dir())]


def redacted(address: str) -> str:
    """Return an address without password, query and fragment."""
    return re.sub(r"[?#].*", "?…", re.sub(r"(?<=://)[^/]*@", "", address), flags=re.DOTALL)


def redacted_message(error: Exception, address: str) -> str:
    """Return the message of an error without the password of the address."""
    return str(error).replace(address, redacted(address)).rstrip(".") + "."


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")
