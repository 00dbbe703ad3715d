"""Ways to make a backup one that cannot be trusted."""

import io
import json
import sqlite3
import stat
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from opportune.ops.backup.archive import copy_stream

Members = dict[str, bytes]


def rewritten(path: Path, change: Callable[[Members, dict[str, Any]], None]) -> Path:
    """The backup as somebody else might have made it: with a manifest that knows of the change."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    manifest = json.loads(members.pop("manifest.json"))
    change(members, manifest)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
        archive.writestr("manifest.json", json.dumps(manifest))
    return path


def put_in(members: Members, manifest: dict[str, Any], name: str, content: bytes) -> None:
    members[name] = content
    source = io.BytesIO(content)
    manifest["members"][name] = copy_stream(source, None).model_dump()


def half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def flipped(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        place = archive.getinfo("database.sqlite3").header_offset + 100
    content = bytearray(path.read_bytes())
    content[place] ^= 0xFF
    path.write_bytes(content)


def another_sqlite_file(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE notes (id)")


def another_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("manifest.json", "{}")


def leading_out(path: Path) -> None:
    rewritten(path, lambda members, manifest: put_in(members, manifest, "uploads/../../outside.txt", b"x"))


def with_a_stranger(path: Path) -> None:
    rewritten(path, lambda members, manifest: put_in(members, manifest, "settings.py", b"x"))


def with_a_link(path: Path) -> None:
    leading_out(path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            entry = zipfile.ZipInfo(name.replace("../../", ""))
            entry.external_attr = (stat.S_IFLNK if "outside" in name else stat.S_IFREG) << 16
            archive.writestr(entry, content.replace(b"uploads/../../", b"uploads/"))


def with_an_empty_database(path: Path) -> None:
    rewritten(path, lambda members, manifest: put_in(members, manifest, "database.sqlite3", b""))


def with_another_database(path: Path) -> None:
    other = path.with_name("other.db")
    another_sqlite_file(path)
    other.write_bytes(path.read_bytes())
    path.with_name("copy.zip").replace(path)
    rewritten(path, lambda members, manifest: put_in(members, manifest, "database.sqlite3", other.read_bytes()))


def with_a_broken_database(path: Path) -> None:
    def change(members: Members, manifest: dict[str, Any]) -> None:
        content = members["database.sqlite3"]
        put_in(members, manifest, "database.sqlite3", content[:4096] + b"\xff" * 8192 + content[12288:])

    rewritten(path, change)


def with_a_changed_row(path: Path) -> None:
    def change(members: Members, _manifest: dict[str, Any]) -> None:
        members["database.sqlite3"] = members["database.sqlite3"].replace(b"ada@example.com", b"eve@example.com")

    rewritten(path, change)


def with_a_changed_upload(path: Path) -> None:
    def change(members: Members, _manifest: dict[str, Any]) -> None:
        members.update({name: content[::-1] for name, content in members.items() if name.startswith("uploads/")})

    rewritten(path, change)


def newer(path: Path) -> None:
    rewritten(path, lambda _members, manifest: manifest["revisions"].append("accounts_0099_ffff"))


def of_a_later_form(path: Path) -> None:
    rewritten(path, lambda _members, manifest: manifest.update(version=2))


def unmigrated(path: Path) -> None:
    rewritten(path, lambda _members, manifest: manifest.update(revisions=[]))


CORRUPTIONS: list[tuple[Callable[[Path], None], str]] = [
    (half, "is not a complete backup"),
    (empty, "is not a complete backup"),
    (Path.unlink, "cannot be read: No such file"),
    (flipped, "is damaged"),
    (another_sqlite_file, "is not a complete backup"),
    (another_zip, "is damaged"),
    (leading_out, "contains the unexpected file 'uploads/../../outside.txt'"),
    (with_a_stranger, "contains the unexpected file 'settings.py'"),
    (with_a_link, "contains the unexpected file 'uploads/outside.txt'"),
    (with_an_empty_database, "its database is empty"),
    (with_another_database, "its database differs from its manifest"),
    (with_a_broken_database, "Its SQLite database"),
    (with_a_changed_row, "database.sqlite3 has changed since the backup"),
    (with_a_changed_upload, "has changed since the backup"),
    (newer, "migrations that are missing here (accounts_0099_ffff)"),
    (of_a_later_form, "newer version"),
    (unmigrated, "has no migrations"),
]
"""Each with words of the line that refuses it."""
