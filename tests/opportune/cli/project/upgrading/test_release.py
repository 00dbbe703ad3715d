"""Sources of releases: wheels, addresses, versions, and the fetch_error of unsafe files."""

import shutil
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import httpx2
import pytest

from opportune.cli.project.upgrading import archive
from opportune.cli.project.upgrading.release import fetch_release, redacted
from opportune.cli.project.wheel import hash_of
from opportune.errors import OperatorError


def fetch_error(source: object, folder: Path) -> str:
    folder.mkdir(exist_ok=True)
    with pytest.raises(OperatorError) as caught:
        fetch_release(str(source), folder)
    return str(caught.value)


def copy_with_changes(wheel: Path, folder: Path, change: Callable[[str, bytes], bytes | None]) -> Path:
    """Copy a wheel with copy_with_changes files. None removes a file."""
    copy = folder / wheel.name
    with zipfile.ZipFile(wheel) as original, zipfile.ZipFile(copy, "w") as archive_:
        for info in original.infolist():
            if (content := change(info.filename, original.read(info))) is not None:
                archive_.writestr(info, content)
    return copy


def test_wheel_is_unpacked(wheel: Path, tmp_path: Path) -> None:
    release = fetch_release(str(wheel), tmp_path)
    assert release.version == "99.0"
    assert "accounts/0099_names.py" in release.migrations
    assert "## [99.0]" in release.changelog


def test_right_hash_is_accepted(wheel: Path, tmp_path: Path) -> None:
    assert fetch_release(f"{wheel}#sha256={hash_of(wheel)}", tmp_path).version == "99.0"


@pytest.mark.parametrize("fragment", [f"sha256={'0' * 64}", "sha256=", "md5=0"])
def test_wrong_hash_is_refused(wheel: Path, tmp_path: Path, fragment: str) -> None:
    message = fetch_error(f"{wheel}#{fragment}", tmp_path)
    assert message == f"{wheel} does not have the hash {fragment}. Download it again, or check it."


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"words" * 999])
def test_damaged_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.whl").write_bytes(content)
    assert fetch_error(tmp_path / "x.whl", tmp_path) == "x.whl is damaged, or not a wheel. Download it again."


def test_truncated_wheel_is_refused(wheel: Path, tmp_path: Path) -> None:
    file = tmp_path / wheel.name
    file.write_bytes(wheel.read_bytes()[:-200])
    assert "is damaged" in fetch_error(file, tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        lambda name, content: b"changed = True\n" if name == "opportune/errors.py" else content,
        lambda name, content: None if name == "opportune/errors.py" else content,
    ],
)
def test_changed_file_is_reported(wheel: Path, tmp_path: Path, change: Callable[[str, bytes], bytes | None]) -> None:
    message = fetch_error(copy_with_changes(wheel, tmp_path, change), tmp_path)
    assert message == f"{wheel.name} is damaged (opportune/errors.py). Download it again."


def test_unlisted_file_is_reported(wheel: Path, tmp_path: Path) -> None:
    file = shutil.copy(wheel, tmp_path)
    with zipfile.ZipFile(file, "a") as opened:
        opened.writestr("sitecustomize.py", "")
    assert fetch_error(file, tmp_path) == f"{wheel.name} is damaged (sitecustomize.py). Download it again."


def test_other_package_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.whl", "w") as opened:
        opened.writestr("x-1.0.dist-info/METADATA", "Name: x\nVersion: 1.0\n")
    assert fetch_error(tmp_path / "x.whl", tmp_path) == "x.whl is not a release of Opportune that a project can use."


def test_newer_python_is_reported(wheel: Path, tmp_path: Path) -> None:
    def require_newer(name: str, content: bytes) -> bytes:
        if name.endswith("/METADATA"):
            return content.replace(b"Requires-Python: >=3.11", b"Requires-Python: >=3.99")
        return b"" if name.endswith("/RECORD") else content

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("opportune.cli.project.upgrading.release.find_damaged_files", lambda *_arguments: iter(()))
        message = fetch_error(copy_with_changes(wheel, tmp_path, require_newer), tmp_path)
    assert message.startswith("Opportune 99.0 needs Python 3.99; this is ")


@pytest.mark.parametrize(
    "name", ["../outside.py", "/outside.py", "a/../../outside.py", "..\\outside.py", "C:outside.py", "outside\n.py"]
)
def test_wheel_cannot_write_outside(tmp_path: Path, name: str) -> None:
    with zipfile.ZipFile(tmp_path / "x.whl", "w") as opened:
        opened.writestr(name, "")
    message = fetch_error(tmp_path / "x.whl", tmp_path)
    assert message == f"x.whl has a file outside its folder ({name}). It is not a release of Opportune."
    assert list(tmp_path.rglob("outside*")) == []


def test_links_in_a_wheel_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.whl", "w") as opened:
        link = zipfile.ZipInfo("opportune/secrets")
        link.external_attr = 0o120777 << 16
        opened.writestr(link, "/etc/passwd")
    assert fetch_error(tmp_path / "x.whl", tmp_path).startswith("x.whl has a symbolic link (opportune/secrets).")


def test_archive_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_UNPACKED_BYTES", 2_000_000)
    with zipfile.ZipFile(tmp_path / "x.whl", "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("opportune/zeros", "0" * 3_000_000)
    assert "unpacks to more than 2 MB. It is not a release of Opportune." in fetch_error(tmp_path / "x.whl", tmp_path)
    assert sum(file.stat().st_size for file in (tmp_path / "release").rglob("*")) < 2_100_000


def test_too_many_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_FILES", 5)
    with zipfile.ZipFile(tmp_path / "x.whl", "w") as opened:
        for number in range(6):
            opened.writestr(f"{number}.py", "")
    assert "has more than 5 files" in fetch_error(tmp_path / "x.whl", tmp_path)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("../nowhere", "../nowhere does not exist. Enter a wheel, its https address, or a version."),
        ("--upload-pack=x", "--upload-pack=x does not exist. Enter a wheel, its https address, or a version."),
        (
            "http://me:secret@example.com/x.whl",
            "http://example.com/x.whl: releases cannot be downloaded over http. Use https.",
        ),
        ("https://example.com/", "https://example.com/ is not the address of a wheel. It must end with .whl."),
        ("..", ".. is a folder. In a clone of Opportune, build a wheel: uv build --wheel"),
    ],
)
def test_unknown_source_is_refused(tmp_path: Path, source: str, message: str) -> None:
    assert fetch_error(source, tmp_path) == message


def test_errors_hide_secrets_of_addresses() -> None:
    public = "https://example.com/v1.whl"
    assert redacted("https://me:secret@example.com/v1.whl") == public
    assert redacted("https://example.com/v1.whl?X-Amz-Signature=secret&a=b#c") == f"{public}?…"


@pytest.fixture
def website(wheel: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Serve the wheel below example.com and as a release on GitHub, and return the requested addresses."""
    requested: list[str] = []
    content = wheel.read_bytes()
    redirects = {"/redirected.whl": "https://cdn.example.com/1.whl", "/insecure.whl": "http://example.com/1.whl"}

    def respond(request: httpx2.Request) -> httpx2.Response:
        requested.append(str(request.url))
        if request.url.path == "/1.whl" or request.url.host == "github.com":
            return httpx2.Response(200, stream=httpx2.ByteStream(content))
        location = redirects.get(request.url.path)
        return httpx2.Response(302 if location else 404, headers={"Location": location or ""})

    monkeypatch.setattr(httpx2, "Client", partial(httpx2.Client, transport=httpx2.MockTransport(respond)))
    return requested


@pytest.mark.usefixtures("website")
def test_wheel_is_downloaded(tmp_path: Path) -> None:
    assert fetch_release("https://example.com/redirected.whl", tmp_path).version == "99.0"


def test_version_is_installed_from_the_index(wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_FIND_LINKS", str(wheel.parent))
    release = fetch_release("v99.0", tmp_path)
    assert (release.version, release.hash, release.wheel) == ("99.0", hash_of(wheel), None)
    assert "accounts/0099_names.py" in release.migrations


def test_missing_version_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_NO_INDEX", "1")
    assert fetch_error("98.0", tmp_path).startswith("The package index does not provide opportune==98.0 (")


@pytest.mark.usefixtures("website")
@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("https://me:secret@example.com/2.whl", "https://example.com/2.whl returned status 404."),
        (
            "https://example.com/insecure.whl",
            "https://example.com/insecure.whl cannot be fetched: it redirects to an address without https.",
        ),
    ],
)
def test_failed_download_is_reported(tmp_path: Path, address: str, message: str) -> None:
    assert fetch_error(address, tmp_path) == message
