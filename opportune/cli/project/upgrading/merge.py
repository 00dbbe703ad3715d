"""A release merged into a project, in a clone of the project's git: the project itself learns of it when it is done.

What the release changed since the one that the project stands on is a commit of its own, which git picks onto the
project: so git's own three-way merge does the work, with its renames, deletions and conflict markers. The release as it
was becomes the second parent of the result: its files stay in the project's git as the base of the next upgrade.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from opportune.cli.project.git import Git, GitError
from opportune.cli.project.release import (
    FRAMEWORK_PATHS,
    RECORD,
    SHARED_PATHS,
    STARTER_PATHS,
    Record,
    blob_hash,
    files_in,
    is_remote,
    matching,
    write_record,
)
from opportune.cli.project.upgrading.repository import Project
from opportune.cli.project.upgrading.source import LOCAL_OPTIONS, Release, as_project, older_release, redacted

FILE, PROGRAM = "100644", "100755"
LOCK = re.compile(r"requirements[\w-]*\.lock")


class Blob(NamedTuple):
    mode: str
    hash: str
    path: str


class Change(NamedTuple):
    status: str
    """As git has it: A, M, D."""
    path: str


@dataclass
class Merge:
    """A project and a release, merged in a folder of their own."""

    project: Project
    record: Record | None
    version: str
    """The release that the project stands on."""
    release: Release
    folder: Path
    """An empty one, which is thrown away."""
    conflicts: dict[str, str] = field(default_factory=dict)
    """Files that somebody has to look at, and why."""
    remade_locks: list[str] = field(default_factory=list)
    """Locks where the release's took the place of both."""
    own: list[str] = field(default_factory=list)
    """Shared files that the project and the release both have, and not from one another: the project's stay."""

    @property
    def branch(self) -> str:
        return f"upgrade-{self.release.version}"

    @cached_property
    def work(self) -> Git:
        """A clone that has the project's objects without copying them, with its last commit checked out."""
        folder = self.folder / "project"
        own = self.project.git("config", "--get-regexp", r"^user\.(name|email)$", codes=(0, 1)).splitlines()
        options = [word for line in own for word in ("-c", line.replace(" ", "=", 1))]
        git = Git(self.folder, (*LOCAL_OPTIONS, *options), {"GIT_LFS_SKIP_SMUDGE": "1"}, is_uninterruptible=True)
        git("clone", "--quiet", "--shared", "--no-checkout", "--", self.project.top, folder)
        git = replace(git, folder=folder)
        git("checkout", "--quiet", "--detach", self.project.head)
        return git

    def carry_out(self) -> None:
        """Merge, in the clone alone.

        Raises:
            OperatorError: git cannot, or the release cannot make a project like this one.
        """
        base = list(self._base())
        has = [path for path in STARTER_PATHS if any(matching((blob.path for blob in base), [path]))]
        root = as_project(self.release, self.record, self.folder / "released")
        wanted = (*FRAMEWORK_PATHS, *SHARED_PATHS, *has)
        self.theirs = list(self._blobs(root, matching(files_in(root), wanted)))
        self.released = self._tree(self.theirs)
        old = self._commit(self._tree(base), f"Opportune {self.version}")
        new = self._commit(self.released, f"Opportune {self.release.version}", old)
        result = self.work.run("-c", "merge.directoryRenames=false", "cherry-pick", "--no-commit", new)
        unmerged = self._unmerged()
        if result.returncode and not unmerged:
            raise GitError(f"git cannot merge: {result.stderr.decode(errors='replace').strip()}")
        for path, stages in unmerged.items():
            self._settle(path, stages)
        self.work("add", "--all")

    @cached_property
    def _changed(self) -> list[Change]:
        listed = self.work("diff", "--cached", "--name-status", "--no-renames", "-z", "HEAD").split("\0")[:-1]
        prefix = self.project.prefix
        return [
            Change(status, path.removeprefix(prefix)) for status, path in zip(listed[::2], listed[1::2], strict=True)
        ]

    def changes(self, *patterns: str) -> list[Change]:
        """What the merge makes different in the project, among these paths."""
        return [change for change in self._changed if any(matching([change.path], patterns))]

    def diff(self, path: str) -> str:
        """What would change in a file, without git's lines on where it is."""
        told = self.work("diff", "--cached", "--no-color", "--no-ext-diff", "HEAD", "--", self.project.prefix + path)
        return told[max(told.find("\n@@ "), 0) :].lstrip("\n")

    def keep(self, path: str) -> None:
        """Leave a file as the project has it."""
        place = self.project.prefix + path
        if self.work.answers("cat-file", "-e", f"HEAD:{place}"):
            self.work("checkout", "--quiet", "HEAD", "--", place)
        else:
            self.work("rm", "--quiet", "--force", "--", place)
        self.conflicts.pop(path, None)
        self.remade_locks = [lock for lock in self.remade_locks if lock != path]

    def commit(self) -> None:
        """Make the branch in the clone."""
        old = self.record or Record(self.version)
        source = redacted(self.release.repository) if is_remote(self.release.repository) else old.source
        files = {blob.path: blob.hash for blob in self.theirs}
        write_record(
            self.work.folder / self.project.prefix, Record(self.release.version, source, old.startproject, files)
        )
        self.work("add", "--force", "--", self.project.prefix + RECORD)
        released = self._commit(self.released, f"Opportune {self.release.version} as it was released")
        message = f"Upgrade to Opportune {self.release.version}"
        if self.conflicts:
            message += "\n\nConflicts to be resolved:\n" + "".join(f"\n{path}" for path in self.conflicts)
        tree = self.work("write-tree").strip()
        self.work("branch", self.branch, self._commit(tree, message, self.project.head, released))

    def _base(self) -> Iterator[Blob]:
        """The files as the old release had them. One that nobody has any more is left out: it conflicts if changed."""
        if not self.record:
            yield from self._base_of_clone()
            return
        known = self._known(self.record.files.values())
        lost = {path: each for path, each in self.record.files.items() if each not in known}
        older = older_release(self.release, self.version, self.folder / "older") if lost else None
        if older:
            root = as_project(
                replace(self.release, root=older, version=self.version), self.record, self.folder / "made"
            )
            found = [path for path, each in lost.items() if _hash_of(root / path) == each]
            yield from self._blobs(root, found)
        for path, each in self.record.files.items():
            if path not in lost:
                yield Blob(self._modes.get(path, FILE), each, path)

    def _base_of_clone(self) -> Iterator[Blob]:
        """A plain clone has its history in common with the release, or at least the release's tag or its commit."""
        tag = f"refs/tags/v{self.version}"
        if revision := self._common_ancestor() or (tag if self.work.answers("cat-file", "-e", tag) else ""):
            yield from self._listed(revision)
        elif older := older_release(self.release, self.version, self.folder / "older"):
            yield from self._blobs(older, files_in(older))
        else:
            line, file = f'__version__ = "{self.version}"', f"{self.project.prefix}opportune/__init__.py"
            if begun := self.work("log", "-1", "--format=%H", f"-S{line}", "--", file).strip():
                yield from self._listed(begun)

    def _common_ancestor(self) -> str:
        place = self.release.repository
        git = replace(self.work, is_uninterruptible=False)  # git may ask for a password
        if not place or not git.answers("fetch", "--quiet", "--no-tags", "--", place, self.release.revision):
            return ""
        return self.work("merge-base", "HEAD", "FETCH_HEAD", codes=(0, 1)).strip()

    def _known(self, hashes: Iterable[str]) -> set[str]:
        """Which of these objects the project's git has."""
        told = self.work(
            "cat-file", "--batch-check=%(objectname) %(objecttype)", stdin="".join(f"{x}\n" for x in hashes)
        )
        return {line.partition(" ")[0] for line in told.splitlines() if line.endswith(" blob")}

    def _listed(self, revision: str) -> Iterator[Blob]:
        """What a commit has of the framework's, the starter's and the shared files."""
        top = self.project.prefix.rstrip("/")
        every = self.work("ls-tree", "-r", "-z", "--full-tree", f"{revision}:{top}").split("\0")[:-1]
        blobs = {path: line.split(" ") for line, _, path in (entry.partition("\t") for entry in every)}
        for path in matching(blobs, (*FRAMEWORK_PATHS, *SHARED_PATHS, *STARTER_PATHS)):
            mode, kind, each = blobs[path]
            if kind == "blob":
                yield Blob(mode, each, path)

    @cached_property
    def _modes(self) -> dict[str, str]:
        """Which files of the project are programs, and which are not."""
        return {blob.path: blob.mode for blob in self._listed("HEAD")}

    def _blobs(self, root: Path, paths: Iterable[str]) -> Iterator[Blob]:
        """Files of a folder, written into git."""
        paths = list(paths)
        listed = "".join(f"{(root / path).resolve()}\n" for path in paths)
        hashes = self.work("hash-object", "-w", "--no-filters", "--stdin-paths", stdin=listed).split()
        for path, each in zip(paths, hashes, strict=True):
            # Windows and some archives know no programs: what is one stays one.
            is_program = (root / path).stat().st_mode & 0o100 or self._modes.get(path) == PROGRAM
            yield Blob(PROGRAM if is_program else FILE, each, path)

    def _tree(self, blobs: Iterable[Blob]) -> str:
        index = self.folder / "index"
        index.unlink(missing_ok=True)
        git = replace(self.work, environ={**self.work.environ, "GIT_INDEX_FILE": str(index)})
        lines = (f"{blob.mode} {blob.hash}\t{self.project.prefix}{blob.path}\0" for blob in blobs)
        git("update-index", "-z", "--index-info", stdin="".join(lines))
        return git("write-tree").strip()

    def _commit(self, tree: str, message: str, *parents: str) -> str:
        options = [word for parent in parents for word in ("-p", parent)]
        return self.work("commit-tree", tree, *options, stdin=message).strip()

    def _unmerged(self) -> dict[str, set[str]]:
        """The files that git could not merge, with the sides that have them: 1 old release, 2 project, 3 release."""
        stages: dict[str, set[str]] = {}
        for entry in self.work("ls-files", "--unmerged", "-z").split("\0")[:-1]:
            line, _, path = entry.partition("\t")
            stages.setdefault(path, set()).add(line[-1])
        return stages

    def _settle(self, place: str, stages: set[str]) -> None:
        """Decide what is no question of content; the rest is the owner's to resolve."""
        path = place.removeprefix(self.project.prefix)
        is_framework = any(matching([path], FRAMEWORK_PATHS))
        if "2" not in stages and not is_framework:
            self.work("rm", "--quiet", "--force", "--", place)  # what its owner deleted stays deleted
        elif "3" in stages and LOCK.fullmatch(path):
            self.work("checkout", "--quiet", "--theirs", "--", place)
            self.remade_locks.append(path)
        elif not is_framework and stages != {"1", "2", "3"}:
            self.work("checkout", "--quiet", "--ours", "--", place)
            self.own.append(path)
        elif "2" not in stages:
            self.conflicts[path] = "you had deleted it, the release changes it: it is back"
        elif "3" not in stages:
            self.conflicts[path] = "you had changed it, the release deletes it: it is still there, as yours"
        else:
            text = (self.work.folder / place).read_bytes()
            lines = [number for number, line in enumerate(text.splitlines(), 1) if line.startswith(b"<<<<<<< ")]
            self.conflicts[path] = _lines(lines) if lines else "both changed it: it is yours as it was"


def _hash_of(file: Path) -> str:
    return blob_hash(file.read_bytes()) if file.is_file() else ""


def _lines(numbers: Sequence[int]) -> str:
    return f"line{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}"
