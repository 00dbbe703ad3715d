"""Merges the shared files of a release into a project, in a temporary work tree of its repository."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from shutil import copyfile

from opportune.cli.environment.locks import OPTIONAL_LOCKS, pins
from opportune.cli.process import last_line
from opportune.cli.project import shared_files
from opportune.cli.project.git import Git
from opportune.cli.project.release import NAME, Release, hash_of, wheel_name
from opportune.errors import OperatorError

WORK_TREE_OPTIONS = ("-c", "core.hooksPath=/dev/null", "-c", "core.autocrlf=false")
"""Options of the temporary work tree: no hooks, and unchanged line endings."""
LOCK = re.compile(r"requirements(/[\w-]+)?\.lock")
MAX_CONFLICTS = 127
"""`git merge-file` exits with the number of conflicts, or a higher code if it cannot merge, such as binary files."""


@dataclass
class Merge:
    """Three-way merge of folders. Changes `project` in place."""

    git: Git
    project: Path
    old: Path
    """The shared files as the project's release writes them."""
    new: Path
    """The shared files as the new release writes them."""
    conflicts: dict[str, str] = field(default_factory=dict)
    """Files with conflict markers, and the lines of these markers."""
    replaced_locks: list[str] = field(default_factory=list)
    """Conflicting locks that were replaced with the release's."""
    unchanged: list[str] = field(default_factory=list)
    """Files that cannot be merged. The project's version is kept."""

    def run(self) -> None:
        files = {file.relative_to(root) for root in (self.old, self.new) for file in root.rglob("*") if file.is_file()}
        for path in sorted(file.as_posix() for file in files):
            if _read(self.old / path) != _read(self.new / path):
                self._merge(path)

    def _merge(self, path: str) -> None:
        file = self.project / path
        old = _read(self.old / path)
        new = _read(self.new / path)
        if file.resolve() != file or file.is_dir() or any(folder.is_file() for folder in file.parents):
            self.unchanged.append(path)  # a link, or a folder instead of a file
            return
        current = _read(file)
        if current == new or (current is None and old is not None):  # deleted files stay deleted
            return
        if current == old:
            self._write(path, new)
        elif current is None or old is None or new is None:
            self.unchanged.append(path)
        else:
            self._merge_lines(path)

    def _merge_lines(self, path: str) -> None:
        labels = ("-L", "yours", "-L", "the old release", "-L", "the new release")
        files = (root / path for root in (self.project, self.old, self.new))
        result = self.git.run("merge-file", "--stdout", *labels, *files)
        if result.returncode > MAX_CONFLICTS:
            self.unchanged.append(path)
        elif result.returncode and LOCK.fullmatch(path):
            self._replace_lock(path)
        else:
            self._write(path, result.stdout)
            if result.returncode:
                lines = enumerate(result.stdout.splitlines(), 1)
                markers = [str(number) for number, line in lines if line.startswith(b"<<<<<<< ")]
                self.conflicts[path] = ", ".join(markers)

    def _write(self, path: str, content: bytes | None) -> None:
        file = self.project / path
        if content is None:
            file.unlink()
            return
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        file.chmod((self.new / path).stat().st_mode)

    def _replace_lock(self, path: str) -> None:
        """Take the release's version of a lock. Feature packages with a wheel in `vendor/` stay pinned."""
        current, old, text = ((root / path).read_text("utf-8") for root in (self.project, self.old, self.new))
        if path == shared_files.BASE_LOCK:
            for wheel in sorted((self.project / shared_files.VENDOR).glob("*.whl")):
                name, version, *_ = wheel.name.split("-")
                if name != NAME:
                    text = shared_files.with_wheel(text, name.replace("_", "-"), version, hash_of(wheel))
        shared_files.write_with_line_feeds(self.project / path, text)
        added_by_project = pins(current).items() - pins(old).items()
        if added_by_project - pins(text).items():
            self.replaced_locks.append(path)


def _read(file: Path) -> bytes | None:
    return file.read_bytes() if file.is_file() else None


@contextmanager
def work_tree(git: Git, folder: Path) -> Iterator[Git]:
    """Check the last commit out into a new folder, and run git in the project there."""
    prefix = git("rev-parse", "--show-prefix").strip()
    git = replace(git, options=WORK_TREE_OPTIONS, environ={"GIT_LFS_SKIP_SMUDGE": "1"})
    try:
        git("worktree", "add", "--quiet", "--detach", folder)
        yield replace(git, folder=folder.resolve() / prefix)
    finally:
        git.run("worktree", "remove", "--force", folder)


def merge_release(
    git: Git, release: Release, names: shared_files.ProjectNames, pinned_hash: str, folder: Path
) -> Merge:
    """Merge the shared files of a release into the work tree, and replace the wheel."""
    merge = Merge(git, git.folder, folder / "old", folder / "new")
    shared_files.write_shared_files(shared_files.STARTER_ROOT, merge.old, names, pinned_hash)
    # Later releases must still have this program and its arguments.
    program = [sys.executable, "-m", f"{NAME}.cli.project.shared_files", str(merge.new), *names, release.hash]
    result = subprocess.run(program, cwd=release.root, capture_output=True, text=True, check=False)
    if result.returncode:
        raise OperatorError(f"Opportune {release.version} cannot write its files: {last_line(result.stderr)}")
    for lock in OPTIONAL_LOCKS.values():
        if (merge.project / lock).exists():
            copyfile(shared_files.STARTER_ROOT / lock, merge.old / lock)
            copyfile(release.root / NAME / shared_files.STARTER / lock, merge.new / lock)
    merge.run()
    vendor = merge.project / shared_files.VENDOR
    for wheel in vendor.glob(wheel_name("*")):
        wheel.unlink()
    vendor.mkdir(parents=True, exist_ok=True)
    if release.wheel:
        copyfile(release.wheel, vendor / wheel_name(release.version))
    elif not any(vendor.iterdir()):
        shared_files.write_with_line_feeds(vendor / "README.md", shared_files.EMPTY_VENDOR)  # images copy the folder
    git("add", "--all", ".")
    git("add", "--force", shared_files.VENDOR)
    return merge
