"""A bound on a process's memory and processor time: a control group of its own, where this user may make one."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

PERIOD_MICROSECONDS = 100_000
CGROUPS, MOUNTS = Path("/proc/self/cgroup"), Path("/proc/self/mounts")


@dataclass(frozen=True)
class Limits:
    """What bounds the processes of a rehearsal."""

    groups: tuple[Path, ...]
    """The folders of the control groups; none where the system allows no such."""
    memory_bytes: int | None
    description: str

    def admit(self, pid: int) -> None:
        """Put a process under the limits, with all that it starts."""
        for group in self.groups:
            (group / "cgroup.procs").write_text(str(pid), encoding="utf-8")
        if not self.groups and self.memory_bytes:
            _limit_data(pid, self.memory_bytes)


@contextmanager
def limited(memory_bytes: int | None, cpu_cores: float | None) -> Iterator[Limits]:
    """Bounds for processes, gone with the block. A core or more is no bound: this machine has others to do."""
    cores = cpu_cores if cpu_cores and cpu_cores < 1 else None
    name = f"opportune-rehearsal-{uuid4().hex[:8]}"
    groups = tuple(_made(name, memory_bytes, cores))
    try:
        yield Limits(groups, memory_bytes, _description(groups, memory_bytes, cores))
    finally:
        for group in groups:
            with suppress(OSError):  # what still runs in it is ended after us
                group.rmdir()


def _description(groups: tuple[Path, ...], memory_bytes: int | None, cores: float | None) -> str:
    if memory_bytes is None:
        return "memory as this machine has it"
    size = f"{memory_bytes // 1024**2} MB"
    if not groups:
        return f"{size} of data (setrlimit: this system lets us make no control group)"
    kind = "v2" if (groups[0] / "cgroup.controllers").exists() else "v1"
    return f"{size}{f' and {cores:g} of a core' if cores else ''} (cgroup {kind})"


def _made(name: str, memory_bytes: int | None, cores: float | None) -> Iterator[Path]:
    """The control groups with these limits that could be made: one by version 2, or one for each by version 1."""
    for parent in _parents():
        group = parent / name
        made = False
        with suppress(OSError):
            group.mkdir()
            made = _limit(group, memory_bytes, cores)
        if made:
            yield group
            if (group / "cgroup.controllers").exists():
                return
        elif group.exists():
            group.rmdir()


def _limit(group: Path, memory_bytes: int | None, cores: float | None) -> bool:
    """Write the limits that this group knows; whether it knew one."""
    quota = round((cores or 0) * PERIOD_MICROSECONDS)
    wanted = {
        "memory.max": memory_bytes and str(memory_bytes),
        "memory.limit_in_bytes": memory_bytes and str(memory_bytes),
        "cpu.max": quota and f"{quota} {PERIOD_MICROSECONDS}",
        "cpu.cfs_quota_us": quota and str(quota),
    }
    known = {group / name: value for name, value in wanted.items() if value and (group / name).exists()}
    for file, value in known.items():
        file.write_text(str(value), encoding="utf-8")
    return bool(known)


def _parents() -> Iterator[Path]:
    """Where groups may be made: beside ours or above it by version 2, below ours by version 1."""
    try:
        own = [line.split(":", 2) for line in CGROUPS.read_text(encoding="utf-8").splitlines()]
        mounts = [line.split() for line in MOUNTS.read_text(encoding="utf-8").splitlines()]
    except OSError:  # no Linux
        return
    for _, controllers, path in own:
        for _, place, kind, options, *_ in mounts:
            below = Path(place) / path.strip("/")
            below = below if below.exists() else Path(place)
            if kind == "cgroup2" and not controllers:
                yield from (parent for parent in (below, *below.parents) if parent.is_relative_to(place))
            elif kind == "cgroup" and controllers in ("memory", "cpu") and controllers in options.split(","):
                yield below


def _limit_data(pid: int, size_bytes: int) -> None:
    if sys.platform == "linux":
        import resource

        resource.prlimit(pid, resource.RLIMIT_DATA, (size_bytes, size_bytes))
