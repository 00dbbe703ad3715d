"""Limit memory and processor time of processes with a control group, if this user may create one."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

PERIOD_MICROSECONDS = 100_000
CGROUPS, MOUNTS = Path("/proc/self/cgroup"), Path("/proc/self/mounts")


@dataclass
class Limits:
    """Limits of each process of a rehearsal. During a deploy two machines run, and each has its own memory."""

    memory_bytes: int | None
    cpu_cores: float | None
    groups: list[Path] = field(default_factory=list)
    """Folders of the control groups. Empty if none could be created."""
    name: str = field(default_factory=lambda: f"opportune-rehearsal-{uuid4().hex[:8]}")

    def apply_to(self, pid: int) -> None:
        """Apply the limits to a process and its children."""
        groups = self.create_groups()
        for group in groups:
            (group / "cgroup.procs").write_text(str(pid), encoding="utf-8")
        if not groups and self.memory_bytes:
            _limit_data_segment(pid, self.memory_bytes)

    def create_groups(self) -> list[Path]:
        """Create the groups of one process. Return none if there are no limits, or this user may not create groups."""
        if not (self.memory_bytes or self.cpu_cores):
            return []
        unique_name = f"{self.name}-{len(self.groups)}"
        groups = list(_create_groups(unique_name, self.memory_bytes, self.cpu_cores))
        self.groups += groups
        return groups

    @property
    def description(self) -> str:
        return _describe_limits(self.groups, self.memory_bytes, self.cpu_cores)


@contextmanager
def resource_limits(memory_bytes: int | None, cpu_cores: float | None) -> Iterator[Limits]:
    """Create limits that are removed when the block ends. Processor time is only limited below one core."""
    limits = Limits(memory_bytes, cpu_cores if cpu_cores and cpu_cores < 1 else None)
    limits.create_groups()  # for the description
    try:
        yield limits
    finally:
        for group in limits.groups:
            with suppress(OSError):  # a process in it is still running
                group.rmdir()


def _describe_limits(groups: Sequence[Path], memory_bytes: int | None, cores: float | None) -> str:
    if memory_bytes is None:
        return "all memory of this machine"
    size = f"{memory_bytes // 1024**2} MB"
    if not groups:
        return f"{size} of data (setrlimit, because this user may not create a control group)"
    version = "v2" if (groups[0] / "cgroup.controllers").exists() else "v1"
    share = f" and {cores:g} of a core" if cores else ""
    return f"{size}{share} (cgroup {version})"


def _create_groups(name: str, memory_bytes: int | None, cores: float | None) -> Iterator[Path]:
    """Create one control group of version 2, or one per limit of version 1."""
    for parent in _find_possible_parents():
        group = parent / name
        has_limits = False
        with suppress(OSError):
            group.mkdir()
            has_limits = _write_limits(group, memory_bytes, cores)
        if has_limits:
            yield group
            if (group / "cgroup.controllers").exists():
                return
        elif group.exists():
            group.rmdir()


def _write_limits(group: Path, memory_bytes: int | None, cores: float | None) -> bool:
    """Write the limits that this group supports. Return False if it supports none."""
    limits: dict[str, str] = {}
    if memory_bytes:
        limits |= {"memory.max": f"{memory_bytes}", "memory.limit_in_bytes": f"{memory_bytes}"}
    if cores:
        quota = round(cores * PERIOD_MICROSECONDS)
        limits |= {"cpu.max": f"{quota} {PERIOD_MICROSECONDS}", "cpu.cfs_quota_us": f"{quota}"}
    supported = {group / name: value for name, value in limits.items() if (group / name).exists()}
    for file, value in supported.items():
        file.write_text(value, encoding="utf-8")
    return bool(supported)


def _find_possible_parents() -> Iterator[Path]:
    """Yield possible parents of new groups: for version 2 our group and its parents, for version 1 our group."""
    try:
        groups = [line.split(":", 2) for line in CGROUPS.read_text(encoding="utf-8").splitlines()]
        mounts = [line.split() for line in MOUNTS.read_text(encoding="utf-8").splitlines()]
    except OSError:  # not Linux
        return
    for _, controllers, path in groups:
        for _, mount_point, type_, options, *_ in mounts:
            group = Path(mount_point) / path.strip("/")
            group = group if group.exists() else Path(mount_point)
            if type_ == "cgroup2" and not controllers:
                yield from (parent for parent in (group, *group.parents) if parent.is_relative_to(mount_point))
            elif type_ == "cgroup" and controllers in ("memory", "cpu") and controllers in options.split(","):
                yield group


def _limit_data_segment(pid: int, size_bytes: int) -> None:
    if sys.platform == "linux":
        import resource

        resource.prlimit(pid, resource.RLIMIT_DATA, (size_bytes, size_bytes))
