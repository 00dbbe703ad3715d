"""What the disk under a SQLite file is like."""

import os
import re
import shutil
import sys
from pathlib import Path

from opportune.ops.doctor.results import Finding, fault, notice, ok

MOUNTS = Path("/proc/self/mountinfo")  # Linux alone has it
MEGABYTE_BYTES = 1_000_000
MIN_FREE_BYTES = 50 * MEGABYTE_BYTES

# Their locks are not those of a disk, and SQLite's write-ahead log needs memory that its users share.
NETWORKED = re.compile(r"nfs\d?|cifs|smb\w*|afs|ceph|lustre|glusterfs|fuse\.(sshfs|s3fs|gcsfuse|rclone|glusterfs)")


def check_space(path: Path) -> Finding:
    free, size = shutil.disk_usage(path.parent).free, path.stat().st_size
    words = f"{free // MEGABYTE_BYTES:,} MB free"
    values = {"free_bytes": free, "file_bytes": size}
    if free < MIN_FREE_BYTES:
        return fault("disk", words, "Make room: writes will soon be refused.", **values)
    if free < size:
        return notice("disk", words, "Less than the file's own size: a backup beside it would not fit.", **values)
    return ok("disk", words, **values)


def check_filesystem(path: Path) -> Finding:
    kind = filesystem_of(path)
    if NETWORKED.fullmatch(kind):
        fix = "Move the file to a disk of this machine, or use PostgreSQL: SQLite's locks do not work across a network."
        return fault("filesystem", f"{kind}, a network file system", fix, kind=kind)
    return ok("filesystem", kind or "unknown", kind=kind)


def check_permissions(path: Path, *, is_written: bool) -> Finding:
    """Whether this user may use the file, and others may not."""
    mode = f"{path.stat().st_mode & 0o777:04o}"
    if not _may(path, os.R_OK):
        return fault("permissions", f"{mode}: this user may not read it", f"Run: chmod u+r {path}", mode=mode)
    if is_written and not _may(path, os.W_OK):
        fix = f"Run: chmod u+w {path}; it must belong to the user who runs the site, on a disk that is not read-only."
        return fault("permissions", f"{mode}: this user may not write to it", fix, mode=mode)
    if is_written and not _may(path.parent, os.W_OK | os.X_OK):
        fix = f"Run: chmod u+wx {path.parent}; SQLite keeps its log beside the file."
        return fault("permissions", f"this user may not write to the folder {path.parent}", fix, mode=mode)
    for log in (path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
        if is_written and log.exists() and not _may(log, os.W_OK):  # made with the mode that the file had then
            return fault("permissions", f"this user may not write to {log}", f"Run: chmod u+w {log}", mode=mode)
    if sys.platform != "win32" and path.stat().st_mode & 0o077:
        return notice("permissions", f"{mode}: other users may use it too", f"Run: chmod 600 {path}", mode=mode)
    return ok("permissions", f"{mode}, this user's alone", mode=mode)


def _may(path: Path, what: int) -> bool:
    return os.access(path, what, effective_ids=os.access in os.supports_effective_ids)


def filesystem_of(path: Path, mounts: Path = MOUNTS) -> str:
    """Its kind (`ext4`, say), or an empty string where the system does not tell."""
    if not mounts.exists():
        return ""
    found = [("", "")]
    for line in mounts.read_text(encoding="utf-8", errors="replace").splitlines():
        place, _, device = line.partition(" - ")
        found.append((_unescaped(place.split()[4]), device.split()[0]))
    # The deepest folder, and of several mounts on one the last.
    over = [mount for mount in found if path.resolve().is_relative_to(mount[0])]
    return max(reversed(over), key=lambda mount: len(mount[0]), default=("", ""))[1]


def _unescaped(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text)
