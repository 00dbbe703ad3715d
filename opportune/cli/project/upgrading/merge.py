"""Merges the shared files of a release into a project, in a temporary clone of the project's repository.

The project's release and the new one write the shared files. Their difference becomes a commit, which is cherry-picked
onto the project, so that git's three-way merge handles the changes of both sides.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from shutil import copyfile
from typing import NamedTuple

from opportune import __version__
from opportune.cli.environment.entry import OPTIONAL_LOCKS
from opportune.cli.project.git import Git, GitError
from opportune.cli.project.record import Record
from opportune.cli.project.shared_files import (
    BASE_LOCK,
    EMPTY_VENDOR,
    EXECUTABLE,
    STARTER,
    STARTER_ROOT,
    VENDOR,
    ProjectNames,
    with_wheel,
    write_shared_files,
    write_text,
)
from opportune.cli.project.upgrading.release import Release
from opportune.cli.project.upgrading.repository import Project
from opportune.cli.project.wheel import NAME, hash_of, wheel_name

FILE, PROGRAM = "100644", "100755"
LOCK = re.compile(r"requirements(/\w+)?\.lock")
LOCAL_OPTIONS = (
    *("-c", "core.hooksPath=/dev/null", "-c", "core.autocrlf=false", "-c", "advice.detachedHead=false"),
    *("-c", "protocol.ext.allow=never", "-c", "protocol.fd.allow=never"),
)
"""Options of the temporary clone: unchanged line endings, no hooks, and no unsafe protocols."""


class Change(NamedTuple):
    status: str
    """Status letter of git: A, M, D or T."""
    path: str


@dataclass
class Merge:
    """Merge of a release into a project, in a temporary folder."""

    project: Project
    record: Record
    pinned_hash: str
    """SHA-256 of the project's current wheel."""
    release: Release
    folder: Path
    """Empty temporary folder."""
    conflicts: dict[str, str] = field(default_factory=dict)
    """Files that the user has to check, with the reasons."""
    replaced_locks: list[str] = field(default_factory=list)
    """Conflicting locks that were replaced with the release's."""
    unchanged: list[str] = field(default_factory=list)
    """Files added by both the project and the release. The project's version is kept."""

    @property
    def branch(self) -> str:
        return f"upgrade-{self.release.version}"

    @cached_property
    def clone(self) -> Git:
        """Clone that shares the objects of the project's repository, with the last commit checked out."""
        folder = self.folder / "project"
        identity = self.project.git("config", "--get-regexp", r"^user\.(name|email)$", codes=(0, 1)).splitlines()
        options = [word for line in identity for word in ("-c", line.replace(" ", "=", 1))]
        git = Git(self.folder, (*LOCAL_OPTIONS, *options), {"GIT_LFS_SKIP_SMUDGE": "1"}, is_uninterruptible=True)
        git("clone", "--quiet", "--shared", "--no-checkout", "--", self.project.top, folder)
        git = replace(git, folder=folder)
        git("checkout", "--quiet", "--detach", self.project.head)
        return git

    def run(self) -> None:
        """Merge in the clone.

        Raises:
            OperatorError: git fails, or the release cannot write its files.
        """
        names = ProjectNames(self.record.title, self.record.slug)
        write_shared_files(STARTER_ROOT, self.folder / "old", names, self.pinned_hash)
        self.release.write_shared_files(self.folder / "new", names)
        self._copy_optional_locks()
        old = self._create_commit(self._write_tree(self.folder / "old"), "The project's release")
        new = self._create_commit(self._write_tree(self.folder / "new"), "The new release", old)
        result = self.clone.run("-c", "merge.directoryRenames=false", "cherry-pick", "--no-commit", new)
        unmerged = self._unmerged()
        if result.returncode and not unmerged:
            raise GitError(f"git cannot merge: {result.stderr.decode(errors='replace').strip()}")
        for path, stages in unmerged.items():
            self._resolve_conflict(path, stages)
        self._replace_wheel()
        self.clone("add", "--all")

    def _copy_optional_locks(self) -> None:
        """Merge the optional locks that the project has."""
        roots = {"old": STARTER_ROOT, "new": self.release.root / NAME / STARTER}
        for lock in OPTIONAL_LOCKS.values():
            if (self.clone.folder / self.project.prefix / lock).exists():
                for name, root in roots.items():
                    copyfile(root / lock, self.folder / name / lock)

    def _replace_wheel(self) -> None:
        folder = self.clone.folder / self.project.prefix / VENDOR
        for wheel in folder.glob(wheel_name("*")):
            wheel.unlink()
        folder.mkdir(parents=True, exist_ok=True)
        if self.release.wheel:
            copyfile(self.release.wheel, folder / wheel_name(self.release.version))
        elif not any(folder.iterdir()):
            write_text(folder / "README.md", EMPTY_VENDOR)  # images copy the folder
        self.clone("add", "--force", "--", f"{self.project.prefix}{VENDOR}")

    def changes(self) -> list[Change]:
        """Return the changed files of the project, except the wheel."""
        fields = self.clone("diff", "--cached", "--name-status", "--no-renames", "-z", "HEAD").split("\0")[:-1]
        changes = [
            Change(status, path.removeprefix(self.project.prefix))
            for status, path in zip(fields[::2], fields[1::2], strict=True)
        ]
        return [change for change in changes if not change.path.startswith(f"{VENDOR}/")]

    def diff(self, path: str) -> str:
        """Return the diff of a file, without its header."""
        diff = self.clone("diff", "--cached", "--no-color", "--no-ext-diff", "HEAD", "--", self.project.prefix + path)
        return diff[max(diff.find("\n@@ "), 0) :].lstrip("\n")

    def keep(self, path: str) -> None:
        """Restore the project's version of a file."""
        full_path = self.project.prefix + path
        if self.clone.succeeds("cat-file", "-e", f"HEAD:{full_path}"):
            self.clone("checkout", "--quiet", "HEAD", "--", full_path)
        else:
            self.clone("rm", "--quiet", "--force", "--", full_path)
        self.conflicts.pop(path, None)
        self.replaced_locks = [lock for lock in self.replaced_locks if lock != path]
        if path == BASE_LOCK:
            self._pin(self.clone.folder / full_path)

    def _pin(self, file: Path) -> None:
        """Pin the release in the project's version of the lock."""
        old, new = __version__, self.release.version
        text = file.read_text(encoding="utf-8").replace(f"{NAME}=={old}", f"{NAME}=={new}")
        write_text(file, text.replace(self.pinned_hash, self.release.hash))
        self.clone("add", "--", str(file))

    def _replace_lock(self, full_path: str, path: str) -> None:
        """Take the release's version of a lock. Feature packages with a wheel in `vendor/` stay pinned."""
        own_pins = _pins(self.clone("show", f"HEAD:{full_path}")) - _pins(
            (self.folder / "old" / path).read_text("utf-8")
        )
        self.clone("checkout", "--quiet", "--theirs", "--", full_path)
        file = self.clone.folder / full_path
        text = file.read_text(encoding="utf-8")
        wheels = sorted((file.parent / VENDOR).glob("*.whl")) if path == BASE_LOCK else []
        for wheel in wheels:
            name, version, *_ = wheel.name.split("-")
            if name != NAME:
                text = with_wheel(text, name.replace("_", "-"), version, hash_of(wheel))
        write_text(file, text)
        if own_pins - _pins(text):
            self.replaced_locks.append(path)

    def commit(self) -> None:
        """Create the branch in the clone."""
        message = f"Upgrade to Opportune {self.release.version}"
        if self.conflicts:
            message += "\n\nConflicts to be resolved:\n" + "".join(f"\n{path}" for path in self.conflicts)
        tree = self.clone("write-tree").strip()
        self.clone("branch", self.branch, self._create_commit(tree, message, self.project.head))

    def _write_tree(self, root: Path) -> str:
        """Write the files of a folder as a tree of the project's repository, and return its hash."""
        paths = sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
        stdin = "".join(f"{(root / path).resolve()}\n" for path in paths)
        hashes = self.clone("hash-object", "-w", "--no-filters", "--stdin-paths", stdin=stdin).split()
        index = self.folder / "index"
        index.unlink(missing_ok=True)
        git = replace(self.clone, environ={**self.clone.environ, "GIT_INDEX_FILE": str(index)})
        lines = (
            f"{PROGRAM if path in EXECUTABLE else FILE} {hash_}\t{self.project.prefix}{path}\0"
            for path, hash_ in zip(paths, hashes, strict=True)
        )
        git("update-index", "-z", "--index-info", stdin="".join(lines))
        return git("write-tree").strip()

    def _create_commit(self, tree: str, message: str, *parents: str) -> str:
        options = [word for parent in parents for word in ("-p", parent)]
        return self.clone("commit-tree", tree, *options, stdin=message).strip()

    def _unmerged(self) -> dict[str, set[str]]:
        """Return the unmerged files and their stages: 1 old release, 2 project, 3 new release."""
        stages: dict[str, set[str]] = {}
        for entry in self.clone("ls-files", "--unmerged", "-z").split("\0")[:-1]:
            line, _, path = entry.partition("\t")
            stages.setdefault(path, set()).add(line[-1])
        return stages

    def _resolve_conflict(self, full_path: str, stages: set[str]) -> None:
        """Resolve conflicts that are not about content, and record the others for the user."""
        path = full_path.removeprefix(self.project.prefix)
        if "2" not in stages:
            self.clone("rm", "--quiet", "--force", "--", full_path)  # stays deleted
        elif "3" in stages and LOCK.fullmatch(path):
            self._replace_lock(full_path, path)
        elif stages != {"1", "2", "3"}:
            self.clone("checkout", "--quiet", "--ours", "--", full_path)
            self.unchanged.append(path)
        else:
            text = (self.clone.folder / full_path).read_bytes()
            lines = [number for number, line in enumerate(text.splitlines(), 1) if line.startswith(b"<<<<<<< ")]
            self.conflicts[path] = (
                _line_list(lines) if lines else "you and the release changed it. Your version was kept"
            )


def _pins(lock: str) -> set[str]:
    """Return the pinned packages of a lock, such as `httpx2==2.16.2`."""
    return set(re.findall(r"^[\w.-]+==\S+", lock, re.MULTILINE))


def _line_list(numbers: Sequence[int]) -> str:
    return f"line{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}"
