"""Start the site like a host: a copy of the project with few environment variables, limits and a log."""

import compileall
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from opportune.contrib.deploy.rehearsal.host_rules import HostRules
from opportune.contrib.deploy.rehearsal.instance import Instance
from opportune.contrib.deploy.rehearsal.limits import Limits
from opportune.project.layout import FRAMEWORK
from opportune.testing.services.ports import free_port

EXCLUDED_FOLDERS = {".git", ".venv", "data", "bench", "tests", "node_modules"}
"""Folders that are not in an image."""
IGNORED_NAMES = shutil.ignore_patterns(".*_cache", ".env", ".env.*", "*.db", "*.db-*")
RUNSERVER = (sys.executable, "oppman.py", "runserver", "--workers", "1", "--migrate")
"""Command of the Dockerfile."""
WORKER = (sys.executable, "oppman.py", "worker")
# The shell waits for a line, which is sent once the limits apply. With `unshare` it has its own mounts.
WAIT_AND_EXEC = 'read -r _; exec "$@"'
MOUNT_READ_ONLY = """
tree=$1; shift
while [ "$1" != -- ]; do mount --bind "$1" "$1" || exit 97; shift; done; shift
mount -o remount,bind,ro / 2>/dev/null
mount --bind "$tree" "$tree" && mount -o remount,bind,ro "$tree" || exit 97
cd "$tree" || exit 97
"""


@dataclass
class Launcher:
    """Starts processes of the site under a host's rules."""

    rules: HostRules
    limits: Limits
    source: Path
    """Folder of the project, which is only read."""
    folder: Path
    """Folder for the copies of the project and all written files."""
    environ: Mapping[str, str]
    command: Sequence[str] = RUNSERVER
    instances: list[Instance] = field(default_factory=list)
    trees: list[Path] = field(default_factory=list)
    """Copies of the image, newest last."""

    def __post_init__(self) -> None:
        for name in ("tmp", "home"):
            (self.folder / name).mkdir()
        self._mount_command = None if self.rules.is_writable else _unshare_command()
        self.image = self.folder / "image"
        shutil.copytree(self.source, self.image, ignore=self._excluded_names, symlinks=True)
        compileall.compile_dir(self.image, quiet=2)  # like the build of an image
        self.deploy()

    @property
    def tree(self) -> Path:
        return self.trees[-1]

    @property
    def tree_description(self) -> str:
        if self.rules.is_writable:
            return "a writable disk" if self.rules.host.keeps_disk else "a disk that each deploy resets"
        if self._mount_command:
            return "a read-only disk (mounted)"
        if os.access(self.tree, os.W_OK):  # by root, in a container that may not mount
            return "a writable disk, unlike the host's (file modes do not apply to root: run as another user)"
        return "a read-only disk (by file modes)"

    def deploy(self) -> None:
        """Give the next process a fresh copy of the image, unless the site cannot write or the host keeps its disk.

        A process that runs continues with its own copy.
        """
        if self.trees and (self.rules.host.keeps_disk or not self.rules.is_writable):
            return
        self.trees.append(self.folder / f"site-{len(self.trees)}")
        shutil.copytree(self.image, self.tree, symlinks=True)
        if self.rules.is_writable:
            (self.tree / "data").mkdir()
            return
        for path in (self.tree, *self.tree.rglob("*")):
            if not path.is_symlink():
                path.chmod(path.stat().st_mode & ~0o222)

    def _excluded_names(self, folder: str, names: list[str]) -> set[str]:
        excluded = IGNORED_NAMES(folder, names) | {name for name in names if self._leads_out(Path(folder, name))}
        return excluded | (EXCLUDED_FOLDERS if Path(folder) == self.source else set())

    def _leads_out(self, path: Path) -> bool:
        """Return whether a link leads to files of this machine, such as uploads, which an image does not have."""
        is_foreign = path.is_symlink() and path.resolve() != FRAMEWORK
        return is_foreign and (path.readlink().is_absolute() or not path.resolve().is_relative_to(self.source))

    def written_files(self) -> list[str]:
        """Return the files that the site has written outside `data`."""
        files = set()
        for tree in self.trees:
            for path in tree.rglob("*"):
                name = path.relative_to(tree)
                is_expected = name.parts[0] == "data" or "__pycache__" in name.parts
                if path.is_file() and not is_expected and not (self.source / name).exists():
                    files.add(str(name))
        return sorted(files)

    def start_worker(self) -> None:
        """Start a process for jobs, if they need a separate one."""
        if self.environ.get("JOBS") == "worker":
            self._start(WORKER)

    def start_server(self) -> Instance:
        return self._start(self.command)

    def _start(self, command: Sequence[str]) -> Instance:
        """Start a process on a free port (PORT)."""
        port = free_port()
        log = self.folder / "log"
        offset = log.stat().st_size if log.exists() else 0
        with log.open("ab") as output:
            process = subprocess.Popen(
                self._wrap(command),
                cwd=self.tree,
                env={
                    **self.environ,
                    "PORT": str(port),
                    "HOME": str(self.folder / "home"),
                    "TMPDIR": str(self.folder / "tmp"),
                },
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        instance = Instance(process, port, log, offset)
        self.instances.append(instance)
        self.limits.apply_to(process.pid)
        assert process.stdin is not None
        with suppress(BrokenPipeError):  # the shell has ended; its output has the reason
            process.stdin.write(b"\n")
            process.stdin.close()
        return instance

    def kill_all(self) -> None:
        for instance in self.instances:
            instance.kill()

    def _wrap(self, command: Sequence[str]) -> list[str]:
        """Wrap a command in a shell that waits for the limits and mounts the disk read-only."""
        if not self._mount_command:
            return ["/bin/sh", "-c", WAIT_AND_EXEC, "sh", *command]
        script = f"{MOUNT_READ_ONLY}{WAIT_AND_EXEC}"  # the log and temporary files stay writable
        return [*self._mount_command, "/bin/sh", "-c", script, "sh", str(self.tree), str(self.folder), "--", *command]


def _unshare_command() -> list[str] | None:
    """Return a command that gives a process its own mounts, or None if this user may not do that."""
    if not shutil.which("unshare"):
        return None
    for options in (["--mount"], ["--map-current-user", "--mount"], ["-r", "--mount"]):
        command = ["unshare", *options]
        trial = [*command, "/bin/sh", "-c", "mount --bind /tmp /tmp && mount -o remount,bind,ro /tmp"]
        if subprocess.run(trial, capture_output=True, check=False, timeout=10).returncode == 0:
            return command
    return None


def remove_folder(folder: Path) -> None:
    """Delete a folder, including read-only folders in it."""
    for path in (folder, *folder.rglob("*")):
        if path.is_dir() and not path.is_symlink():
            path.chmod(path.stat().st_mode | 0o700)
    shutil.rmtree(folder, ignore_errors=True)
