"""Merges a release into a project, in a temporary clone of the project's repository.

The changes between the project's release and the new one become a commit, which is cherry-picked onto the project. This
way git's three-way merge handles renames, deletions and conflicts. The unmodified release becomes the second parent of
the result, so that its files stay in the repository as the base of the next upgrade.
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
    """Status letter of git: A, M, D or T."""
    path: str


@dataclass
class Merge:
    """Merge of a release into a project, in a temporary folder."""

    project: Project
    record: Record | None
    version: str
    """Current release of the project."""
    release: Release
    folder: Path
    """Empty temporary folder."""
    conflicts: dict[str, str] = field(default_factory=dict)
    """Files that the user has to check, with the reasons."""
    replaced_locks: list[str] = field(default_factory=list)
    """Conflicting locks that were replaced with the release's."""
    unchanged: list[str] = field(default_factory=list)
    """Shared files added by both the project and the release. The project's version is kept."""

    @property
    def branch(self) -> str:
        return f"upgrade-{self.release.version}"

    @cached_property
    def work(self) -> Git:
        """Clone that shares the objects of the project's repository, with the last commit checked out."""
        folder = self.folder / "project"
        identity = self.project.git("config", "--get-regexp", r"^user\.(name|email)$", codes=(0, 1)).splitlines()
        options = [word for line in identity for word in ("-c", line.replace(" ", "=", 1))]
        git = Git(self.folder, (*LOCAL_OPTIONS, *options), {"GIT_LFS_SKIP_SMUDGE": "1"}, is_uninterruptible=True)
        git("clone", "--quiet", "--shared", "--no-checkout", "--", self.project.top, folder)
        git = replace(git, folder=folder)
        git("checkout", "--quiet", "--detach", self.project.head)
        return git

    def carry_out(self) -> None:
        """Merge in the clone.

        Raises:
            OperatorError: git fails, or the release cannot create a project like this one.
        """
        base = list(self._base())
        starter_paths = [path for path in STARTER_PATHS if any(matching((blob.path for blob in base), [path]))]
        root = as_project(self.release, self.record, self.folder / "released")
        patterns = (*FRAMEWORK_PATHS, *SHARED_PATHS, *starter_paths)
        self.theirs = list(self._blobs(root, matching(files_in(root), patterns)))
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
        """Return the changes of the project by the merge, limited to these paths."""
        return [change for change in self._changed if any(matching([change.path], patterns))]

    def diff(self, path: str) -> str:
        """Return the diff of a file, without its header."""
        diff = self.work("diff", "--cached", "--no-color", "--no-ext-diff", "HEAD", "--", self.project.prefix + path)
        return diff[max(diff.find("\n@@ "), 0) :].lstrip("\n")

    def keep(self, path: str) -> None:
        """Restore the project's version of a file."""
        full_path = self.project.prefix + path
        if self.work.succeeds("cat-file", "-e", f"HEAD:{full_path}"):
            self.work("checkout", "--quiet", "HEAD", "--", full_path)
        else:
            self.work("rm", "--quiet", "--force", "--", full_path)
        self.conflicts.pop(path, None)
        self.replaced_locks = [lock for lock in self.replaced_locks if lock != path]

    def commit(self) -> None:
        """Create the branch in the clone."""
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
        """Yield the files of the old release. A file that cannot be found is omitted, and conflicts if it changed."""
        if not self.record:
            yield from self._base_of_clone()
            return
        existing = self._existing(self.record.files.values())
        missing = {path: hash_ for path, hash_ in self.record.files.items() if hash_ not in existing}
        older = older_release(self.release, self.version, self.folder / "older") if missing else None
        if older:
            root = as_project(
                replace(self.release, root=older, version=self.version), self.record, self.folder / "made"
            )
            yield from self._blobs(root, [path for path, hash_ in missing.items() if _hash_of(root / path) == hash_])
        for path, hash_ in self.record.files.items():
            if path not in missing:
                yield Blob(self._modes.get(path, FILE), hash_, path)

    def _base_of_clone(self) -> Iterator[Blob]:
        """Yield the base of a plain clone: the common ancestor, the tag, or the first commit of its version."""
        tag = f"refs/tags/v{self.version}"
        if revision := self._common_ancestor() or (tag if self.work.succeeds("cat-file", "-e", tag) else ""):
            yield from self._listed(revision)
        elif older := older_release(self.release, self.version, self.folder / "older"):
            yield from self._blobs(older, files_in(older))
        else:
            line, file = f'__version__ = "{self.version}"', f"{self.project.prefix}opportune/__init__.py"
            if first_commit := self.work("log", "-1", "--format=%H", f"-S{line}", "--", file).strip():
                yield from self._listed(first_commit)

    def _common_ancestor(self) -> str:
        repository = self.release.repository
        git = replace(self.work, is_uninterruptible=False)  # git may ask for a password
        if not repository or not git.succeeds("fetch", "--quiet", "--no-tags", "--", repository, self.release.revision):
            return ""
        return self.work("merge-base", "HEAD", "FETCH_HEAD", codes=(0, 1)).strip()

    def _existing(self, hashes: Iterable[str]) -> set[str]:
        """Return the hashes of the objects in the project's repository."""
        stdin = "".join(f"{hash_}\n" for hash_ in hashes)
        output = self.work("cat-file", "--batch-check=%(objectname) %(objecttype)", stdin=stdin)
        return {line.partition(" ")[0] for line in output.splitlines() if line.endswith(" blob")}

    def _listed(self, revision: str) -> Iterator[Blob]:
        """Yield the framework's, the starter's and the shared files of a commit."""
        top = self.project.prefix.rstrip("/")
        entries = self.work("ls-tree", "-r", "-z", "--full-tree", f"{revision}:{top}").split("\0")[:-1]
        blobs = {path: line.split(" ") for line, _, path in (entry.partition("\t") for entry in entries)}
        for path in matching(blobs, (*FRAMEWORK_PATHS, *SHARED_PATHS, *STARTER_PATHS)):
            mode, type_, hash_ = blobs[path]
            if type_ == "blob":
                yield Blob(mode, hash_, path)

    @cached_property
    def _modes(self) -> dict[str, str]:
        """Git's file modes of the project, by path."""
        return {blob.path: blob.mode for blob in self._listed("HEAD")}

    def _blobs(self, root: Path, paths: Iterable[str]) -> Iterator[Blob]:
        """Add the files of a folder to the repository's objects."""
        paths = list(paths)
        listed = "".join(f"{(root / path).resolve()}\n" for path in paths)
        hashes = self.work("hash-object", "-w", "--no-filters", "--stdin-paths", stdin=listed).split()
        for path, hash_ in zip(paths, hashes, strict=True):
            # Windows and some archives have no executable flag, so keep the existing one.
            is_program = (root / path).stat().st_mode & 0o100 or self._modes.get(path) == PROGRAM
            yield Blob(PROGRAM if is_program else FILE, hash_, path)

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
        """Return the unmerged files and their stages: 1 old release, 2 project, 3 new release."""
        stages: dict[str, set[str]] = {}
        for entry in self.work("ls-files", "--unmerged", "-z").split("\0")[:-1]:
            line, _, path = entry.partition("\t")
            stages.setdefault(path, set()).add(line[-1])
        return stages

    def _settle(self, full_path: str, stages: set[str]) -> None:
        """Resolve conflicts that are not about content, and record the others for the user."""
        path = full_path.removeprefix(self.project.prefix)
        is_framework = any(matching([path], FRAMEWORK_PATHS))
        if "2" not in stages and not is_framework:
            self.work("rm", "--quiet", "--force", "--", full_path)  # stays deleted
        elif "3" in stages and LOCK.fullmatch(path):
            self.work("checkout", "--quiet", "--theirs", "--", full_path)
            self.replaced_locks.append(path)
        elif not is_framework and stages != {"1", "2", "3"}:
            self.work("checkout", "--quiet", "--ours", "--", full_path)
            self.unchanged.append(path)
        elif "2" not in stages:
            self.conflicts[path] = "you deleted it, but the release changed it. It was restored"
        elif "3" not in stages:
            self.conflicts[path] = "you changed it, but the release deleted it. Your version was kept"
        else:
            text = (self.work.folder / full_path).read_bytes()
            lines = [number for number, line in enumerate(text.splitlines(), 1) if line.startswith(b"<<<<<<< ")]
            self.conflicts[path] = _lines(lines) if lines else "you and the release changed it. Your version was kept"


def _hash_of(file: Path) -> str:
    return blob_hash(file.read_bytes()) if file.is_file() else ""


def _lines(numbers: Sequence[int]) -> str:
    return f"line{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}"
