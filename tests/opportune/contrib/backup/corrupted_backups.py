"""Functions that corrupt a backup, with the expected error."""

import io
import json
import sqlite3
import stat
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from opportune.contrib.backup.archive import copy_stream

Members = dict[str, bytes]


def rewrite(path: Path, change: Callable[[Members, dict[str, Any]], None]) -> Path:
    """Change members of a backup and its manifest, like an attacker who recalculates the checksums."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    manifest = json.loads(members.pop("manifest.json"))
    change(members, manifest)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
        archive.writestr("manifest.json", json.dumps(manifest))
    return path


def add_member(members: Members, manifest: dict[str, Any], name: str, content: bytes) -> None:
    members[name] = content
    source = io.BytesIO(content)
    manifest["members"][name] = copy_stream(source, None).model_dump()


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])


def clear(path: Path) -> None:
    path.write_bytes(b"")


def flip_bits(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        offset = archive.getinfo("database.sqlite3").header_offset + 100
    content = bytearray(path.read_bytes())
    content[offset] ^= 0xFF
    path.write_bytes(content)


def replace_with_sqlite_file(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE notes (id)")


def replace_with_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("manifest.json", "{}")


def add_path_outside(path: Path) -> None:
    rewrite(path, lambda members, manifest: add_member(members, manifest, "uploads/../../outside.txt", b"x"))


def add_unexpected_member(path: Path) -> None:
    rewrite(path, lambda members, manifest: add_member(members, manifest, "settings.py", b"x"))


def add_symbolic_link(path: Path) -> None:
    add_path_outside(path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            entry = zipfile.ZipInfo(name.replace("../../", ""))
            entry.external_attr = (stat.S_IFLNK if "outside" in name else stat.S_IFREG) << 16
            archive.writestr(entry, content.replace(b"uploads/../../", b"uploads/"))


def clear_database(path: Path) -> None:
    rewrite(path, lambda members, manifest: add_member(members, manifest, "database.sqlite3", b""))


def replace_database(path: Path) -> None:
    other_database = path.with_name("other.db")
    replace_with_sqlite_file(path)
    other_database.write_bytes(path.read_bytes())
    path.with_name("copy.zip").replace(path)
    rewrite(
        path, lambda members, manifest: add_member(members, manifest, "database.sqlite3", other_database.read_bytes())
    )


def corrupt_database(path: Path) -> None:
    def change(members: Members, manifest: dict[str, Any]) -> None:
        content = members["database.sqlite3"]
        add_member(members, manifest, "database.sqlite3", content[:4096] + b"\xff" * 8192 + content[12288:])

    rewrite(path, change)


def change_row(path: Path) -> None:
    def change(members: Members, _manifest: dict[str, Any]) -> None:
        members["database.sqlite3"] = members["database.sqlite3"].replace(b"ada@example.com", b"eve@example.com")

    rewrite(path, change)


def change_upload(path: Path) -> None:
    def change(members: Members, _manifest: dict[str, Any]) -> None:
        members.update({name: content[::-1] for name, content in members.items() if name.startswith("uploads/")})

    rewrite(path, change)


def add_unknown_migration(path: Path) -> None:
    rewrite(path, lambda _members, manifest: manifest["revisions"].append("accounts_0099_ffff"))


def raise_format_version(path: Path) -> None:
    rewrite(path, lambda _members, manifest: manifest.update(version=2))


def remove_migrations(path: Path) -> None:
    rewrite(path, lambda _members, manifest: manifest.update(revisions=[]))


CORRUPTIONS: list[tuple[Callable[[Path], None], str]] = [
    (truncate, "is not a complete backup"),
    (clear, "is not a complete backup"),
    (Path.unlink, "cannot be read: No such file"),
    (flip_bits, "is damaged"),
    (replace_with_sqlite_file, "is not a complete backup"),
    (replace_with_zip, "is damaged"),
    (add_path_outside, "contains the unexpected file 'uploads/../../outside.txt'"),
    (add_unexpected_member, "contains the unexpected file 'settings.py'"),
    (add_symbolic_link, "contains the unexpected file 'uploads/outside.txt'"),
    (clear_database, "its database is empty"),
    (replace_database, "its database differs from its manifest"),
    (corrupt_database, "Its SQLite database"),
    (change_row, "database.sqlite3 has changed since the backup"),
    (change_upload, "has changed since the backup"),
    (add_unknown_migration, "migrations that are missing here (accounts_0099_ffff)"),
    (raise_format_version, "newer version"),
    (remove_migrations, "has no migrations"),
]
"""Functions that corrupt a backup, with a part of the error that refuses it."""
