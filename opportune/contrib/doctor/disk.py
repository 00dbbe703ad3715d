"""Checks of the disk that holds a SQLite file."""

import os
import re
import shutil
import sys
from pathlib import Path

from opportune.contrib.doctor.results import Finding, fault, notice, ok

MOUNTS = Path("/proc/self/mountinfo")  # Linux only
MEGABYTE_BYTES = 1_000_000
MIN_FREE_BYTES = 50 * MEGABYTE_BYTES

# File locks are unreliable on network file systems, and SQLite's write-ahead log needs shared memory.
NETWORKED = re.compile(r"nfs\d?|cifs|smb\w*|afs|ceph|lustre|glusterfs|fuse\.(sshfs|s3fs|gcsfuse|rclone|glusterfs)")


def check_space(path: Path) -> Finding:
    free, size = shutil.disk_usage(path.parent).free, path.stat().st_size
    message = f"{free // MEGABYTE_BYTES:,} MB free"
    values = {"free_bytes": free, "file_bytes": size}
    if free < MIN_FREE_BYTES:
        return fault("disk", message, "Free up space: writes will soon fail.", **values)
    if free < size:
        return notice("disk", message, "Free up space: a backup on this disk needs as much as the file.", **values)
    return ok("disk", message, **values)


def check_filesystem(path: Path) -> Finding:
    type_ = filesystem_type(path)
    if NETWORKED.fullmatch(type_):
        fix = "Move the file to a local disk, or use PostgreSQL: SQLite's locks do not work across a network."
        return fault("filesystem", f"{type_}, a network file system", fix, kind=type_)
    return ok("filesystem", type_ or "unknown", kind=type_)


def check_permissions(path: Path, *, is_written: bool) -> Finding:
    """Check that this user may use the file and other users may not."""
    mode = f"{path.stat().st_mode & 0o777:04o}"
    if not _has_access(path, os.R_OK):
        return fault("permissions", f"{mode}: this user may not read it", f"Run: chmod u+r {path}", mode=mode)
    if is_written and not _has_access(path, os.W_OK):
        fix = f"Run: chmod u+w {path}. It must belong to the user that runs the site, on a writable disk."
        return fault("permissions", f"{mode}: this user may not write to it", fix, mode=mode)
    if is_written and not _has_access(path.parent, os.W_OK | os.X_OK):
        fix = f"Run: chmod u+wx {path.parent}. SQLite writes its log next to the file."
        return fault("permissions", f"this user may not write to the folder {path.parent}", fix, mode=mode)
    for log in (path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
        if is_written and log.exists() and not _has_access(log, os.W_OK):  # the log keeps the mode from its creation
            return fault("permissions", f"this user may not write to {log}", f"Run: chmod u+w {log}", mode=mode)
    if sys.platform != "win32" and path.stat().st_mode & 0o077:
        return notice("permissions", f"{mode}: other users have access", f"Run: chmod 600 {path}", mode=mode)
    return ok("permissions", f"{mode}, only this user has access", mode=mode)


def _has_access(path: Path, mode: int) -> bool:
    return os.access(path, mode, effective_ids=os.access in os.supports_effective_ids)


def filesystem_type(path: Path, mounts: Path = MOUNTS) -> str:
    """Return the type of the file system, such as `ext4`, or "" if it is unknown."""
    if not mounts.exists():
        return ""
    types: dict[str, str] = {}
    for line in mounts.read_text(encoding="utf-8", errors="replace").splitlines():
        fields, _, device = line.partition(" - ")
        types[_unescape(fields.split()[4])] = device.split()[0]  # the last of several mounts on a folder counts
    mount_points = [point for point in types if path.resolve().is_relative_to(point)]
    deepest = max(mount_points, key=len, default="")
    return types.get(deepest, "")


def _unescape(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)
