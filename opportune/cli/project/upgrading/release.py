"""A release of the framework: its wheel, fetched, verified and unpacked."""

import base64
import binascii
import csv
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from email.parser import HeaderParser
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlsplit

from opportune.cli.output import progress
from opportune.cli.project.record import parse_version
from opportune.cli.project.release import install_from_index
from opportune.cli.project.shared_files import STARTER, ProjectNames
from opportune.cli.project.upgrading.archive import MAX_ARCHIVE_BYTES, unpack
from opportune.cli.project.wheel import NAME, hash_of
from opportune.errors import OperatorError

TIMEOUT_SECONDS = 60
"""Timeout of a network connection without data."""
RENDERING_TIMEOUT_SECONDS = 60
HASH = re.compile(r"sha256=([0-9a-f]{64})")
PYTHON = re.compile(r">=(\d+)\.(\d+)")


@dataclass(frozen=True)
class Release:
    """A verified wheel and its unpacked files."""

    wheel: Path | None
    """None for a release of the package index."""
    hash: str
    """SHA-256 of the wheel."""
    root: Path
    """Folder of the unpacked files."""
    version: str

    @property
    def changelog(self) -> str:
        return _read_text(self.root / NAME / "docs/changelog.md")

    @property
    def migrations(self) -> set[str]:
        return migrations_in(self.root / NAME)

    def write_shared_files(self, folder: Path, names: ProjectNames) -> None:
        """Write the shared files of a project as this release writes them.

        Raises:
            OperatorError: the release cannot write them.
        """
        module = f"{NAME}.cli.project.shared_files"
        command = [sys.executable, "-m", module, str(folder), *names, self.hash]
        try:
            subprocess.run(
                command, cwd=self.root, capture_output=True, text=True, timeout=RENDERING_TIMEOUT_SECONDS, check=True
            )
        except subprocess.TimeoutExpired:
            raise OperatorError(f"Opportune {self.version} did not write its files in time.") from None
        except subprocess.CalledProcessError as error:
            message = (error.stderr.strip() or "no error message").splitlines()[-1]
            raise OperatorError(f"Opportune {self.version} cannot write its files: {message}") from None


def migrations_in(package: Path) -> set[str]:
    """Return the migrations of the framework, such as `jobs/0002_steps.py`."""
    files = (package / "migrations").glob("*/[0-9]*.py")
    return {file.relative_to(package / "migrations").as_posix() for file in files}


def fetch_release(source: str, folder: Path) -> Release:
    """Fetch a wheel from a file or an https address, or a version from the package index, and unpack it.

    An address or a path may end with `#sha256=…`.

    Raises:
        OperatorError: the source cannot be fetched, has another hash, or is not a release of the framework.
    """
    location, _, fragment = source.partition("#")
    if _is_version(location) and not Path(location).exists():
        release = install_from_index(location.removeprefix("v"), folder / "release")
        return _verified(f"{NAME} {release.version}", None, release.hash, release.root)
    wheel = _fetch(location, folder)
    expected = HASH.fullmatch(fragment)
    if fragment and not (expected and expected[1] == hash_of(wheel)):
        raise OperatorError(f"{redacted(location)} does not have the hash {fragment}. Download it again, or check it.")
    return read_release(wheel, folder / "release")


def _fetch(location: str, folder: Path) -> Path:
    path = Path(location).expanduser()
    if path.is_file():
        return path
    scheme = urlsplit(location).scheme
    if path.is_dir():
        raise OperatorError(f"{path} is a folder. In a clone of Opportune, build a wheel: uv build --wheel")
    if scheme == "http":
        raise OperatorError(f"{redacted(location)}: releases cannot be downloaded over http. Use https.")
    if scheme != "https":
        raise OperatorError(f"{redacted(location)} does not exist. Enter a wheel, its https address, or a version.")
    name = Path(urlsplit(location).path).name
    if not name.endswith(".whl"):
        raise OperatorError(f"{redacted(location)} is not the address of a wheel. It must end with .whl.")
    return download(location, folder / name)


def _is_version(text: str) -> bool:
    try:
        parse_version(text)
    except ValueError:
        return False
    return True


def read_release(wheel: Path, root: Path) -> Release:
    """Unpack a wheel into a new folder and verify it.

    Raises:
        OperatorError: the wheel is damaged, of another package, or cannot be used by this Python.
    """
    unpack(wheel, root)
    return _verified(wheel.name, wheel, hash_of(wheel), root)


def _verified(name: str, wheel: Path | None, hash_: str, root: Path) -> Release:
    info = next(root.glob("*.dist-info"), root)
    metadata = HeaderParser().parsestr(_read_text(info / "METADATA"))
    version = metadata["Version"] or ""
    if metadata["Name"] != NAME or not _is_version(version) or not (root / NAME / STARTER).is_dir():
        raise OperatorError(f"{name} is not a release of Opportune that a project can use.")
    if wheel and (damaged := next(find_damaged_files(root, info / "RECORD"), None)):
        raise OperatorError(f"{name} is damaged ({damaged}). Download it again.")
    python = PYTHON.match(metadata["Requires-Python"] or "")
    if python and sys.version_info < (int(python[1]), int(python[2])):
        raise OperatorError(f"Opportune {version} needs Python {python[1]}.{python[2]}; this is {sys.version[:4]}.")
    return Release(wheel, hash_, root, version)


def find_damaged_files(root: Path, record: Path) -> Iterator[str]:
    """Yield files that are missing, not listed, or have another hash than in the wheel's RECORD."""
    rows = [row for row in csv.reader(_read_text(record).splitlines()) if len(row) == 3]
    hashes = {name: value for name, value, _size in rows}
    for file in sorted(path for path in root.rglob("*") if path.is_file() and path != record):
        algorithm, _, encoded = hashes.pop(file.relative_to(root).as_posix(), "").partition("=")
        if algorithm != "sha256" or _decode(encoded) != sha256(file.read_bytes()).digest():
            yield file.relative_to(root).as_posix()
    yield from (name for name in hashes if name != record.relative_to(root).as_posix())


def _decode(encoded: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
    except binascii.Error:
        return b""


def download(address: str, file: Path) -> Path:
    """Download a file over https.

    Raises:
        OperatorError: the download fails, is too large, or is redirected to an unencrypted address.
    """
    import httpx2  # noqa: PLC0415 - not needed for local sources

    def require_https(request: httpx2.Request) -> None:
        if request.url.scheme != "https":
            raise httpx2.UnsupportedProtocol("it redirects to an address without https")

    hooks = {"request": [require_https]}
    try:
        with (
            httpx2.Client(follow_redirects=True, timeout=TIMEOUT_SECONDS, event_hooks=hooks) as client,
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
    except httpx2.HTTPStatusError as error:
        raise OperatorError(f"{redacted(address)} returned status {error.response.status_code}.") from error
    except httpx2.HTTPError as error:
        message = str(error).replace(address, redacted(address)).rstrip(".")
        raise OperatorError(f"{redacted(address)} cannot be fetched: {message}.") from error
    return file


def redacted(address: str) -> str:
    """Return an address without password, query and fragment."""
    return re.sub(r"[?#].*", "?…", re.sub(r"(?<=://)[^/]*@", "", address), flags=re.DOTALL)


def _read_text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
