"""Sources of releases: folders, archives and git addresses, and the refusal of unsafe ones."""

import gzip
import io
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import httpx
import pytest

from opportune.cli.project.upgrading import archive, source
from opportune.cli.project.upgrading.source import fetch_release, redacted, redacted_message
from opportune.errors import OperatorError
from tests.opportune.cli.project.upgrading.releases import FIRST, SECOND, repository, write

Pack = Callable[[Path, Mapping[str, str]], Path]


def zipped(path: Path, files: Mapping[str, str]) -> Path:
    with zipfile.ZipFile(path / "release.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return path / "release.zip"


def tarred(path: Path, files: Mapping[str, str]) -> Path:
    with tarfile.open(path / "release.tar.gz", "w:gz") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(text.encode()), 0o755
            archive.addfile(member, io.BytesIO(text.encode()))
    return path / "release.tar.gz"


PACKS = pytest.mark.parametrize("pack", [zipped, tarred])


def refusal(address: object, folder: Path) -> str:
    folder.mkdir(exist_ok=True)
    with pytest.raises(OperatorError) as caught:
        fetch_release(str(address), folder / "release")
    assert list(folder.rglob("outside*")) == []
    return str(caught.value)


def in_folder(files: Mapping[str, str]) -> dict[str, str]:
    return {f"opportune-1.1.0/{path}": text for path, text in files.items()}


@PACKS
def test_archive_with_one_top_folder_is_unpacked(tmp_path: Path, pack: Pack) -> None:
    release = fetch_release(str(pack(tmp_path, in_folder(SECOND))), tmp_path / "release")
    assert release.version == "1.1.0"
    assert (release.root / "opportune/web.py").read_text() == SECOND["opportune/web.py"]
    assert bool((release.root / "oppman.py").stat().st_mode & 0o100) == (pack is tarred)


@PACKS
@pytest.mark.parametrize(
    "name", ["../outside.py", "/outside.py", "a/../../outside.py", "..\\outside.py", "C:outside.py", "outside\n.py"]
)
def test_archive_cannot_write_outside(tmp_path: Path, pack: Pack, name: str) -> None:
    message = refusal(pack(tmp_path, {**SECOND, name: "here"}), tmp_path)
    assert message.endswith(f" has a file outside its folder ({name}). It is not a release of Opportune.")


def test_links_and_devices_in_an_archive_are_refused(tmp_path: Path) -> None:
    file = zipped(tmp_path, SECOND)
    with zipfile.ZipFile(file, "a") as archive:
        link = zipfile.ZipInfo("opportune/secrets")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    assert refusal(file, tmp_path / "zip").startswith("release.zip has a symbolic link (opportune/secrets).")
    for type_ in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE):
        with tarfile.open(tmp_path / "release.tgz", "w:gz") as tar:
            member = tarfile.TarInfo("opportune/secrets")
            member.type, member.linkname = type_, "/etc/passwd"
            tar.addfile(member)
        message = refusal(tmp_path / "release.tgz", tmp_path / type_.hex())
        assert message.startswith("release.tgz has a link or a device (opportune/secrets).")


@PACKS
def test_archive_bomb_is_refused(tmp_path: Path, pack: Pack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_UNPACKED_BYTES", 2_000_000)
    message = refusal(pack(tmp_path, {**SECOND, "opportune/zeros": "0" * 3_000_000}), tmp_path)
    assert "unpacks to more than 2 MB. It is not a release of Opportune." in message
    assert sum(file.stat().st_size for file in (tmp_path / "release").rglob("*")) < 2_100_000
    monkeypatch.setattr(archive, "MAX_FILES", 5)
    assert "has more than 5 files" in refusal(pack(tmp_path, {f"{n}.py": "" for n in range(6)}), tmp_path / "many")


def test_large_tar_header_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_UNPACKED_BYTES", 1_000_000)
    header = tarfile.TarInfo("pax")
    header.type, header.size = tarfile.XHDTYPE, 8_000_000
    (tmp_path / "x.tgz").write_bytes(gzip.compress(header.tobuf() + bytes(8_000_000)))
    assert "unpacks to more than 1 MB" in refusal(tmp_path / "x.tgz", tmp_path)


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04", b"\x1f\x8b\x08", b"words", gzip.compress(b"words" * 999, mtime=0)]
)
def test_damaged_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.zip").write_bytes(content)
    assert refusal(tmp_path / "x.zip", tmp_path).startswith("x.zip is damaged, or not a .zip or .tar.gz file.")


def test_truncated_archive_is_refused(tmp_path: Path) -> None:
    file = tarred(tmp_path, SECOND)
    file.write_bytes(file.read_bytes()[:-200])
    assert "is damaged" in refusal(file, tmp_path)


def test_other_content_is_refused(tmp_path: Path) -> None:
    folder = write(tmp_path / "other", {"opportune/views.py": "# another app\n"})
    assert refusal(folder, tmp_path) == f"{folder} is not a release of Opportune."
    assert refusal(zipped(tmp_path, {"a.py": ""}), tmp_path).endswith("release.zip is not a release of Opportune.")
    assert "../nowhere does not exist. Enter a folder" in refusal("../nowhere", tmp_path)
    assert "--upload-pack=x does not exist. Enter a folder" in refusal("--upload-pack=x", tmp_path)
    assert "secret" not in refusal("http://me:top@secret@example.com/x.zip", tmp_path), "curl takes the last @"
    message = refusal("http://me:secret@example.com/x.zip", tmp_path)
    assert message == "http://example.com/x.zip: releases cannot be downloaded over http. Use https."


def test_folder_with_outside_link_is_refused(tmp_path: Path) -> None:
    folder = write(tmp_path / "second", SECOND)
    (folder / "opportune/secrets.py").symlink_to("/etc/hostname")
    assert "has a link to a file outside (opportune/secrets.py)" in refusal(folder, tmp_path)


def test_git_address_takes_newest_release_or_tag(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    starter = repository(tmp_path / "starter", FIRST, SECOND)
    assert fetch_release(starter.as_uri(), tmp_path / "newest").version == "1.1.0"
    assert fetch_release(f"{starter.as_uri()}@v1.0.0", tmp_path / "first").version == "1.0.0"
    monkeypatch.chdir(tmp_path)
    assert fetch_release("starter@v1.0.0", tmp_path / "here").version == "1.0.0"
    message = refusal(f"{starter.as_uri()}@v9", tmp_path / "none")
    assert message.startswith(f"{starter.as_uri()}@v9 cannot be fetched: git clone failed: Remote branch v9 not found")
    address = f"file://me:secret@{tmp_path}/nothing"
    message = refusal(address, tmp_path)
    assert "cannot be fetched: git ls-remote failed: " in message
    assert "secret" not in message


def test_git_address_runs_no_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_ALLOW_PROTOCOL", "ext:file")
    assert "cannot be fetched" in refusal(f"ext::touch {tmp_path}/ran", tmp_path)
    assert not (tmp_path / "ran").exists()


def test_git_has_no_input_and_a_timeout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "transport 'fd' not allowed" in refusal("fd::17", tmp_path)
    (tmp_path / "git").write_text("#!/bin/sh\nsleep 3 & wait\n")  # git with a child process
    (tmp_path / "git").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(source, "GIT_TIMEOUT_SECONDS", 0.1)
    assert "git ls-remote took longer than 0.1 seconds." in refusal("https://example.com/x.git", tmp_path)


def test_errors_hide_secrets_of_addresses() -> None:
    public = "https://example.com/v1.zip"
    assert redacted("https://me:secret@example.com/v1.zip") == public
    assert redacted("https://example.com/v1.zip?X-Amz-Signature=secret&a=b#c") == f"{public}?…"
    error = OperatorError("cannot reach https://example.com/v1.zip?token=secret at all")
    assert "secret" not in redacted_message(error, "https://example.com/v1.zip?token=secret")


def test_archives_are_downloaded_over_https_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = tarred(tmp_path, in_folder(SECOND)).read_bytes()
    pages = {
        "https://example.com/v1.tar.gz": "https://cdn.example.com/1",
        "https://example.com/v2.tar.gz": "http://example.com/1",
    }

    def respond(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/1":
            return httpx.Response(200, stream=httpx.ByteStream(content))
        status = 302 if str(request.url) in pages else 404
        return httpx.Response(status, headers={"Location": pages.get(str(request.url), "")})

    transport = httpx.MockTransport(respond)
    monkeypatch.setattr(httpx, "Client", partial(httpx.Client, transport=transport))
    assert fetch_release("https://example.com/v1.tar.gz", tmp_path / "release").version == "1.1.0"
    message = refusal("https://me:secret@example.com/v3.tar.gz", tmp_path / "two")
    assert message == "https://example.com/v3.tar.gz returned status 404."
    message = refusal("https://example.com/v2.tar.gz", tmp_path / "three")
    assert message.endswith("cannot be fetched: it redirects to an address without https.")
