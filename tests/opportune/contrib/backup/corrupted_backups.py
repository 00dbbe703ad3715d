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

DATABASE = "database.sqlite3"
Members = dict[str, bytes]
Corrupt = Callable[[Path], object]


def read_members(path: Path) -> Members:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def rewrite(path: Path, change: Callable[[Members, dict[str, Any]], object]) -> None:
    """Change members of a backup and its manifest, like an attacker who recalculates the checksums."""
    members = read_members(path)
    manifest = json.loads(members.pop("manifest.json"))
    change(members, manifest)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
        archive.writestr("manifest.json", json.dumps(manifest))


def with_manifest(**values: object) -> Corrupt:
    return lambda path: rewrite(path, lambda _members, manifest: manifest.update(values))


def with_member(name: str, change: Callable[[bytes], bytes]) -> Corrupt:
    """Return a function that adds or replaces a member, with its checksum."""

    def change_member(members: Members, manifest: dict[str, Any]) -> None:
        members[name] = change(members.get(name, b""))
        manifest["members"][name] = copy_stream(io.BytesIO(members[name]), None).model_dump()

    return lambda path: rewrite(path, change_member)


def add_revision(path: Path) -> None:
    rewrite(path, lambda _, manifest: manifest["revisions"].append("accounts_0099_ffff"))


def replace_text(old: bytes, new: bytes) -> Corrupt:
    """Return a function that changes the content of members without their checksums."""

    def change_members(members: Members, _manifest: dict[str, Any]) -> None:
        members.update({name: content.replace(old, new) for name, content in members.items()})

    return lambda path: rewrite(path, change_members)


def flip_bits(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        offset = archive.getinfo(DATABASE).header_offset + 100
    content = bytearray(path.read_bytes())
    content[offset] ^= 0xFF
    path.write_bytes(content)


def other_database(path: Path) -> bytes:
    """Create a SQLite database, and return its content."""
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE notes (id)")
    return path.read_bytes()


def replace_with_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("manifest.json", "{}")


def replace_database(path: Path) -> None:
    content = other_database(path.with_name("other.db"))
    with_member(DATABASE, lambda _content: content)(path)


def add_symbolic_link(path: Path) -> None:
    with_member("uploads/link.txt", lambda _content: b"x")(path)
    members = read_members(path)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = (stat.S_IFLNK if "link" in name else stat.S_IFREG) << 16
            archive.writestr(entry, content)


CORRUPTIONS: list[tuple[Corrupt, str]] = [
    (lambda path: path.write_bytes(path.read_bytes()[:-200]), "is not a complete backup"),
    (lambda path: path.write_bytes(path.read_bytes()[100:]), "is not a complete backup"),
    (Path.unlink, "cannot be read: No such file"),
    (flip_bits, "is damaged"),
    (replace_with_zip, "is damaged"),
    *(
        (with_member(name, lambda _content: b"x"), f"contains the unexpected file '{name}'")
        for name in ("uploads/../../outside.txt", "uploads//tmp/outside.txt", "settings.py")
    ),
    (add_symbolic_link, "contains the unexpected file 'uploads/link.txt'"),
    (replace_database, "its database differs from its manifest"),
    (with_member(DATABASE, lambda content: content[:4096] + b"\xff" * 8192 + content[12288:]), "Its SQLite database"),
    (replace_text(b"ada@example.com", b"eve@example.com"), "database.sqlite3 has changed since the backup"),
    (replace_text(b"picture", b"erutcip"), "uploads/a/picture.png has changed since the backup"),
    (add_revision, "migrations that are missing here (accounts_0099_ffff)"),
    (with_manifest(version=2), "newer version"),
    (with_manifest(revisions=[]), "has no migrations"),
]
"""Functions that corrupt a backup, with a part of the error that refuses it."""
