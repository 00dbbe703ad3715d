"""The site as a host runs it: a copy of the project, a small environment, limits, a log, a signal and its grace."""

import asyncio
import compileall
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from opportune.ops.deploy.rehearsal.limits import Limits
from opportune.ops.deploy.rehearsal.rules import Rules

LEFT_OUT = {".git", ".venv", "data", "bench", "tests", "node_modules"}
"""Folders that no image has, and what is its owner's alone."""
CACHES = shutil.ignore_patterns(".*_cache", ".env", ".env.*", "*.db", "*.db-*")
POLL_SECONDS = 0.05
RUNSERVER = (sys.executable, "oppman.py", "runserver", "--workers", "1", "--migrate")
"""As the Dockerfile has it."""
KILL_TIMEOUT_SECONDS = 10.0
# It waits for a line, by which time it is under its limits. With `unshare` before it the mounts are its own.
RELEASED = 'read -r _; exec "$@"'
MOUNTED = """
tree=$1; shift
while [ "$1" != -- ]; do mount --bind "$1" "$1" || exit 97; shift; done; shift
mount -o remount,bind,ro / 2>/dev/null
mount --bind "$tree" "$tree" && mount -o remount,bind,ro "$tree" || exit 97
cd "$tree" || exit 97
"""


@dataclass
class Instance:
    """One process of the site, on a port of its own."""

    process: "subprocess.Popen[bytes]"
    port: int
    log: Path
    offset: int
    """Where its words begin in the log."""
    started: float = field(default_factory=time.monotonic)
    was_killed: bool = False
    is_frozen: bool = False
    peak_memory_bytes: int = 0

    @property
    def is_running(self) -> bool:
        return self.process.poll() is None

    @property
    def said(self) -> str:
        """All that it has written."""
        with self.log.open("rb") as log:
            log.seek(self.offset)
            return log.read().decode(errors="replace")

    @property
    def last_words(self) -> str:
        """The last line that it wrote."""
        lines = [line.strip() for line in self.said.splitlines() if line.strip()]
        return lines[-1][:300] if lines else "nothing"

    def freeze(self, is_still: bool) -> None:
        """Let it stand still, or go on, as a host does that runs nothing between requests."""
        if sys.platform != "win32" and is_still != self.is_frozen and self.is_running:
            self.is_frozen = is_still
            os.killpg(self.process.pid, signal.SIGSTOP if is_still else signal.SIGCONT)

    def measure(self) -> None:
        """Note the memory that it has had at most."""
        try:
            status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8")
        except OSError:
            return
        if found := re.search(r"VmHWM:\s*(\d+) kB", status):
            self.peak_memory_bytes = max(self.peak_memory_bytes, int(found[1]) * 1024)

    async def stop(self, name: str, seconds: float) -> float:
        """Send the host's signal, wait its time, and kill what is left; return the seconds that it took."""
        begun = time.monotonic()
        self.measure()
        self.freeze(False)
        if self.is_running:
            self.process.send_signal(signal.Signals[name])
        await self._ended(seconds)
        self.was_killed = self.is_running
        self.kill()
        return time.monotonic() - begun

    def kill(self) -> None:
        """End it with all that it has started, at once. It waits for nobody else, as it may be the last that we do."""
        if sys.platform != "win32":
            with suppress(ProcessLookupError, PermissionError):  # it has ended
                os.killpg(self.process.pid, signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(KILL_TIMEOUT_SECONDS)

    async def _ended(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while self.is_running and time.monotonic() < deadline:  # noqa: ASYNC110 - of another process there is no event
            await asyncio.sleep(POLL_SECONDS)


@dataclass
class Launcher:
    """Starts processes of the site under a host's rules."""

    rules: Rules
    limits: Limits
    source: Path
    """The project, which is only read."""
    folder: Path
    """Where the copy goes, and all that it writes."""
    environ: Mapping[str, str]
    command: Sequence[str] = RUNSERVER
    worker_command: Sequence[str] = (sys.executable, "oppman.py", "worker")
    has_worker: bool = False
    """Whether jobs are done by a process of their own."""
    instances: list[Instance] = field(default_factory=list)
    trees: list[Path] = field(default_factory=list)
    """The copies, the newest last."""

    def __post_init__(self) -> None:
        for name in ("tmp", "home"):
            (self.folder / name).mkdir()
        self.mounts = None if self.rules.keeps_all_writable else _way_to_mount()
        self.trees.append(self.folder / "site")
        self.deploy()

    @property
    def tree(self) -> Path:
        return self.trees[-1]

    @property
    def tree_description(self) -> str:
        """How the tree is kept from being written to."""
        if self.rules.keeps_all_writable:
            return "a writable tree" if self.rules.host.keeps_disk else "a tree that each deploy throws away"
        return "a read-only tree (own mounts)" if self.mounts else "a read-only tree (no right to write)"

    def deploy(self) -> None:
        """Have the tree as an image has it. What was written is kept where the host keeps its disk."""
        data = self.tree / "data"
        if self.tree.exists():
            if not self.rules.host.keeps_disk and self.rules.keeps_all_writable:
                shutil.rmtree(data)
                data.mkdir()
                for name in self.written():
                    (self.tree / name).unlink(missing_ok=True)
            return
        shutil.copytree(self.source, self.tree, ignore=self._left_out, symlinks=True)
        compileall.compile_dir(self.tree, quiet=2)  # as the image is built; what is up to date stays
        if self.rules.keeps_all_writable:
            data.mkdir(exist_ok=True)
        else:
            for path in (self.tree, *self.tree.rglob("*")):
                if not path.is_symlink():
                    path.chmod(path.stat().st_mode & ~0o222)

    def deploy_beside(self) -> None:
        """The same for the next process, while the one before goes on with what it has written."""
        if self.rules.host.keeps_disk or not self.rules.keeps_all_writable:
            return
        old, fresh = self.tree, self.folder / f"site-{len(self.trees)}"
        shutil.copytree(old, fresh, ignore=lambda folder, _: {"data"} if Path(folder) == old else set(), symlinks=True)
        self.trees.append(fresh)
        (fresh / "data").mkdir()
        self.deploy()

    def _left_out(self, folder: str, names: list[str]) -> set[str]:
        return CACHES(folder, names) | (LEFT_OUT if Path(folder) == self.source else set())

    def written(self) -> list[str]:
        """What the site has written into its trees, beside `data`."""
        found = set()
        for tree in self.trees:
            for path in tree.rglob("*"):
                name = path.relative_to(tree)
                is_ours = name.parts[0] == "data" or "__pycache__" in name.parts
                if path.is_file() and not is_ours and not (self.source / name).exists():
                    found.add(str(name))
        return sorted(found)

    def start(self) -> Instance:
        """Start a process on a free port, which the environment tells it."""
        return self._start(self.command)

    def start_worker(self) -> None:
        """Start the process that does the jobs, where they are not the site's own."""
        if self.has_worker:
            self._start(self.worker_command)

    def _start(self, command: Sequence[str]) -> Instance:
        port = free_port()
        log = self.folder / "log"
        offset = log.stat().st_size if log.exists() else 0
        with log.open("ab") as output:
            process = subprocess.Popen(
                self._in_tree(command),
                cwd=self.tree,
                env={**self.environ, "PORT": str(port), **self._folders()},
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        instance = Instance(process, port, log, offset)
        self.instances.append(instance)
        self.limits.admit(process.pid)
        assert process.stdin is not None
        process.stdin.write(b"\n")
        process.stdin.close()
        return instance

    def kill_all(self) -> None:
        """Leave no process."""
        for instance in self.instances:
            instance.kill()

    def _in_tree(self, command: Sequence[str]) -> list[str]:
        if not self.mounts:
            return ["/bin/sh", "-c", RELEASED, "sh", *command]
        places = [str(self.folder)]  # the log, and what is temporary
        script = f"{MOUNTED}{RELEASED}"
        return [*self.mounts, "/bin/sh", "-c", script, "sh", str(self.tree), *places, "--", *command]

    def _folders(self) -> dict[str, str]:
        return {"HOME": str(self.folder / "home"), "TMPDIR": str(self.folder / "tmp")}


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _way_to_mount() -> list[str] | None:
    """The command that gives a process mounts of its own, where this system lets us; else None."""
    for way in (["unshare", "--mount"], ["unshare", "--map-current-user", "--mount"], ["unshare", "-r", "--mount"]):
        if not shutil.which(way[0]):
            return None
        trial = [*way, "/bin/sh", "-c", "mount --bind /tmp /tmp && mount -o remount,bind,ro /tmp"]
        if subprocess.run(trial, capture_output=True, check=False, timeout=10).returncode == 0:
            return way
    return None


def remove(folder: Path) -> None:
    """Delete a folder, also what in it nobody may write to."""
    for path in (folder, *folder.rglob("*")):
        if path.is_dir() and not path.is_symlink():
            path.chmod(path.stat().st_mode | 0o700)
    shutil.rmtree(folder, ignore_errors=True)
