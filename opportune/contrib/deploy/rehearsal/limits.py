"""Memory limit of a host, as a control group of each process, or else as a limit of its data."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

CGROUP = Path("/proc/self/cgroup")
CGROUPS = Path("/sys/fs/cgroup")


@dataclass
class MemoryLimit:
    """Limit of each process of a rehearsal. During a deploy two machines run, and each has its own memory."""

    size_bytes: int | None
    groups: list[Path] = field(default_factory=list)
    """Folders of the control groups. Empty if none could be created."""
    name: str = field(default_factory=lambda: f"opportune-rehearsal-{uuid4().hex[:8]}")

    def apply_to(self, pid: int) -> None:
        """Apply the limit to a process and its children."""
        if group := self.create_group():
            (group / "cgroup.procs").write_text(str(pid), encoding="utf-8")
        elif self.size_bytes:
            _limit_data_segment(pid, self.size_bytes)

    def create_group(self) -> Path | None:
        """Create the group of one process. None if there is no limit, or this user may not create groups."""
        if self.size_bytes:
            for parent in _possible_parents():
                group = parent / f"{self.name}-{len(self.groups)}"
                if _create_group(group, self.size_bytes):
                    self.groups.append(group)
                    return group
        return None

    @property
    def description(self) -> str:
        if self.size_bytes is None:
            return "all memory of this machine"
        size = f"{self.size_bytes // 1024**2} MB"
        if self.groups:
            return f"{size} (cgroup)"
        return f"{size} of data (setrlimit, because this user may not create a control group)"


@contextmanager
def limited_memory(size_bytes: int | None) -> Iterator[MemoryLimit]:
    """Yield a limit whose groups are removed when the block ends."""
    limit = MemoryLimit(size_bytes)
    limit.create_group()  # for the description
    try:
        yield limit
    finally:
        for group in limit.groups:
            with suppress(OSError):  # a process in it is still running
                group.rmdir()


def _possible_parents() -> Iterator[Path]:
    """Yield the group of this process and the groups above it, of which one may be delegated to this user."""
    with suppress(OSError):  # not Linux
        for line in CGROUP.read_text(encoding="utf-8").splitlines():
            if line.startswith("0::"):  # version 2
                group = CGROUPS / line.removeprefix("0::").strip("/")
                yield from (parent for parent in (group, *group.parents) if parent.is_relative_to(CGROUPS))


def _create_group(group: Path, size_bytes: int) -> bool:
    """Create a group with this limit. Return False if this user may not, or the controller is missing."""
    with suppress(OSError):
        group.mkdir()
        try:
            (group / "memory.max").write_text(str(size_bytes), encoding="utf-8")
            return True
        except OSError:
            group.rmdir()
    return False


def _limit_data_segment(pid: int, size_bytes: int) -> None:
    if sys.platform == "linux":
        import resource

        resource.prlimit(pid, resource.RLIMIT_DATA, (size_bytes, size_bytes))
