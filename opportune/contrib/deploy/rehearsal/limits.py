"""Memory and processor limits of a host, as a control group of each process, or else as a check of its memory."""

import os
import re
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

PERIOD_MICROSECONDS = 100_000
CGROUP = Path("/proc/self/cgroup")
CGROUPS = Path("/sys/fs/cgroup")
CHECK_SECONDS = 0.02
OWN_MEMORY = re.compile(r"^RssAnon:\s*(\d+) kB", re.MULTILINE)
"""Memory of a process without files, which a host can drop and read again."""


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
        if group := self.create_group():
            _write(group / "cgroup.procs", str(pid))
        elif self.memory_bytes:
            threading.Thread(target=_kill_above, args=(pid, self.memory_bytes), daemon=True).start()

    def create_group(self) -> Path | None:
        """Create the group of one process. None if there are no limits, or this user may not create groups."""
        values = {"memory.max": str(self.memory_bytes)} if self.memory_bytes else {}
        if self.cpu_cores:
            values["cpu.max"] = f"{round(self.cpu_cores * PERIOD_MICROSECONDS)} {PERIOD_MICROSECONDS}"
        if values:
            for parent in _possible_parents():
                group = parent / f"{self.name}-{len(self.groups)}"
                if _create_group(group, values):
                    self.groups.append(group)
                    return group
        return None

    @property
    def description(self) -> str:
        if self.memory_bytes is None:
            return "all memory of this machine"
        size = f"{self.memory_bytes // 1024**2} MB"
        if not self.groups:
            return f"{size} (checked, because this user may not create a control group)"
        share = f" and {self.cpu_cores:g} of a core" if self.cpu_cores else ""
        return f"{size}{share} (cgroup)"


@contextmanager
def resource_limits(memory_bytes: int | None, cpu_cores: float | None) -> Iterator[Limits]:
    """Create limits that are removed when the block ends. Processor time is only limited below one core."""
    limits = Limits(memory_bytes, cpu_cores if cpu_cores and cpu_cores < 1 else None)
    limits.create_group()  # for the description
    try:
        yield limits
    finally:
        for group in limits.groups:
            with suppress(OSError):  # a process in it is still running
                group.rmdir()


def _possible_parents() -> Iterator[Path]:
    """Yield the group of this process and the groups above it, of which one may be delegated to this user."""
    with suppress(OSError):  # not Linux
        for line in CGROUP.read_text(encoding="utf-8").splitlines():
            if line.startswith("0::"):  # version 2
                group = CGROUPS / line.removeprefix("0::").strip("/")
                yield from (parent for parent in (group, *group.parents) if parent.is_relative_to(CGROUPS))


def _create_group(group: Path, values: Mapping[str, str]) -> bool:
    """Create a group with these limits. Return False if this user may not, or a controller is missing."""
    with suppress(OSError):
        group.mkdir()
        try:
            for name, value in values.items():
                _write(group / name, value)
            return True
        except OSError:
            group.rmdir()
    return False


def _write(file: Path, value: str) -> None:
    """Write a file of a control group. In a folder that is none, such as the one above version 1, it is missing."""
    with file.open("r+", encoding="utf-8") as stream:
        stream.write(value)


def _kill_above(pid: int, size_bytes: int) -> None:
    """Kill a process and its children if they use more memory, like the kernel of a host, until it has ended."""
    process = Path(f"/proc/{pid}")  # exists on Linux only
    while process.exists():
        if sys.platform == "linux" and _memory_of(process) > size_bytes:
            with suppress(ProcessLookupError):  # it has just ended
                os.killpg(pid, signal.SIGKILL)
        time.sleep(CHECK_SECONDS)


def _memory_of(process: Path) -> int:
    """Return the bytes that a process and its children use, 0 if it has just ended."""
    try:
        used = OWN_MEMORY.search((process / "status").read_text(encoding="utf-8"))
        children = [pid for file in process.glob("task/*/children") for pid in file.read_text("ascii").split()]
    except OSError:
        return 0
    return (int(used[1]) * 1024 if used else 0) + sum(_memory_of(Path("/proc", pid)) for pid in children)
