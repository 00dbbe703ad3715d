"""A release merged into a project, in a clone of the project's git: the project itself learns of it when it is done.

What the release changed since the one that the project stands on is a commit of its own, which git picks onto the
project: so git's own three-way merge does the work, with its renames, deletions and conflict markers. The release as it
was becomes the second parent of the result: its files stay in the project's git as the base of the next upgrade.
"""

import re
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from opportune.cli.environment import PREPARED
from opportune.cli.git import Git, GitError
from opportune.cli.release import (
    FRAMEWORK_PATHS,
    RECORD,
    SHARED_PATHS,
    STARTER_PATHS,
    Record,
    blob_hash,
    files_in,
    matching,
    write_record,
)
from opportune.cli.release_source import LOCAL_OPTIONS, Release, older_release, redacted
from opportune.errors import OperatorError

UNFINISHED = ("MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "rebase-merge", "rebase-apply", "BISECT_LOG")
FILE, PROGRAM = "100644", "100755"
LOCK = re.compile(r"requirements[\w-]*\.lock")


@dataclass(frozen=True)
class Project:
    """A project in git, with everything committed."""

    git: Git
    head: str
    branch: str
    prefix: str
    """Its folder in the repository, as `site/`; empty where it is the repository."""

    @classmethod
    def at(cls, folder: Path) -> "Project":
        """Look whether a branch can be made from what is there.

        Raises:
            OperatorError: with what is in the way.
        """
        git = Git(folder, is_uninterruptible=True)
        prefix = _prefix(git)
        if not (head := git("rev-parse", "--verify", "--quiet", "HEAD", codes=(0, 1)).strip()):
            raise OperatorError("Nothing is committed yet: git add --all && git commit, then run this again.")
        if len(head) != 40:
            raise OperatorError("This repository names its objects by SHA-256: upgrade knows SHA-1 alone.")
        places = git("rev-parse", *(word for name in UNFINISHED for word in ("--git-path", name))).splitlines()
        if doing := next((place for place in places if (folder / place).exists()), None):
            raise OperatorError(f"Git is in the middle of something ({Path(doing).name}): finish or abort it first.")
        if not (branch := git("symbolic-ref", "--quiet", "--short", "HEAD", codes=(0, 1)).strip()):
            raise OperatorError("HEAD is detached, so there is no branch to come back to: git switch to one first.")
        if changed := [line[3:] for line in git("status", "--porcelain").splitlines()]:
            more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
            raise OperatorError(
                f"There is work that is not committed ({', '.join(changed[:3])}{more}): commit it, or git stash -u."
            )
        git("var", "GIT_COMMITTER_IDENT")  # whose absence git explains
        return cls(git, head, branch, prefix)

    def refuse_branch(self, name: str) -> None:
        if self.git.answers("rev-parse", "--verify", "--quiet", f"refs/heads/{name}"):
            raise OperatorError(f"There is a branch {name} already: go on there, or git branch -D {name} and again.")

    def take(self, branch: str, merged: Git) -> None:
        """Get a branch from a clone and switch to it, or neither.

        Raises:
            GitError: something is in the way.
        """
        name = f"refs/heads/{branch}"
        with _uninterrupted():
            try:
                self.git("fetch", "--quiet", "--no-tags", str(merged.folder), f"{name}:{name}")
                self.git("checkout", "--quiet", "--no-overwrite-ignore", branch)
            except BaseException:
                self.git.run("symbolic-ref", "HEAD", f"refs/heads/{self.branch}")
                self.git.run("reset", "--quiet", "--hard", self.head)
                self.git.run("branch", "--quiet", "-D", branch)
                raise


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

    @cached_property
    def work(self) -> Git:
        """A clone that has the project's objects without copying them, with its last commit checked out."""
        folder = self.folder / "project"
        top = self.project.git("rev-parse", "--show-toplevel").strip()
        own = self.project.git("config", "--get-regexp", r"^user\.(name|email)$", codes=(0, 1)).splitlines()
        options = [word for line in own for word in ("-c", line.replace(" ", "=", 1))]
        git = Git(self.folder, (*LOCAL_OPTIONS, *options), {"GIT_LFS_SKIP_SMUDGE": "1"}, is_uninterruptible=True)
        git("clone", "--quiet", "--shared", "--no-checkout", "--", top, folder)
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

    def changes(self, *patterns: str) -> list[Change]:
        """What is different from the project's last commit, among these paths."""
        listed = self.work("diff", "--cached", "--name-status", "--no-renames", "-z", "HEAD").split("\0")[:-1]
        every = (Change(status, path) for status, path in zip(listed[::2], listed[1::2], strict=True))
        prefix = self.project.prefix
        return [
            change._replace(path=path)
            for change in every
            if any(matching([path := change.path.removeprefix(prefix)], patterns))
        ]

    def diff(self, path: str) -> str:
        return self.work("diff", "--cached", "HEAD", "--", self.project.prefix + path)

    def keep(self, path: str) -> None:
        """Leave a file as the project has it."""
        place = self.project.prefix + path
        if self.work.answers("cat-file", "-e", f"HEAD:{place}"):
            self.work("checkout", "--quiet", "HEAD", "--", place)
        else:
            self.work("rm", "--quiet", "--force", "--", place)
        self.conflicts.pop(path, None)

    def commit(self, branch: str) -> None:
        """Make the branch in the clone."""
        old = self.record or Record(self.version)
        source = redacted(self.release.repository) if self.release.is_remote else old.source
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
        self.work("branch", branch, self._commit(tree, message, self.project.head, released))

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
        modes = {blob.path: blob.mode for blob in self._listed("HEAD")}
        for path, each in self.record.files.items():
            if path not in lost:
                yield Blob(modes.get(path, FILE), each, path)

    def _base_of_clone(self) -> Iterator[Blob]:
        """A plain clone has its history in common with the release, or at least the release's tag or its commit."""
        tag = f"refs/tags/v{self.version}"
        if revision := self._common_ancestor() or (tag if self.work.answers("cat-file", "-e", tag) else ""):
            yield from self._listed(revision)
        elif older := older_release(self.release, self.version, self.folder / "older"):
            yield from self._blobs(older, files_in(older))
        else:
            line, file = f'__version__ = "{self.version}"', "opportune/__init__.py"
            yield from self._listed(
                self.work("log", "-1", "--format=%H", f"-S{line}", "--", self.project.prefix + file)
            )

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
        every = self.work("ls-tree", "-r", "-z", "--full-tree", f"{revision.strip()}:{top}").split("\0")[:-1]
        blobs = {path: line.split(" ") for line, _, path in (entry.partition("\t") for entry in every)}
        for path in matching(blobs, (*FRAMEWORK_PATHS, *SHARED_PATHS, *STARTER_PATHS)):
            mode, kind, each = blobs[path]
            if kind == "blob":
                yield Blob(mode, each, path)

    def _blobs(self, root: Path, paths: Iterable[str]) -> Iterator[Blob]:
        """Files of a folder, written into git."""
        paths = list(paths)
        listed = "".join(f"{(root / path).resolve()}\n" for path in paths)
        hashes = self.work("hash-object", "-w", "--no-filters", "--stdin-paths", stdin=listed).split()
        for path, each in zip(paths, hashes, strict=True):
            yield Blob(PROGRAM if (root / path).stat().st_mode & 0o100 else FILE, each, path)

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
        if "2" not in stages and not any(matching([path], FRAMEWORK_PATHS)):
            self.work("rm", "--quiet", "--force", "--", place)  # what its owner deleted stays deleted
        elif "3" in stages and LOCK.fullmatch(path):
            self.work("checkout", "--quiet", "--theirs", "--", place)
            self.remade_locks.append(path)
        elif "2" not in stages:
            self.conflicts[path] = "you had deleted it, the release changes it: it is back"
        elif "3" not in stages:
            self.conflicts[path] = "you had changed it, the release deletes it: it is still there, as yours"
        else:
            text = (self.work.folder / place).read_bytes()
            lines = [number for number, line in enumerate(text.splitlines(), 1) if line.startswith(b"<<<<<<< ")]
            self.conflicts[path] = _lines(lines) if lines else "both changed it: it is yours as it was"


def as_project(release: Release, record: Record | None, folder: Path) -> Path:
    """The folder with a release's files as a project like this one has them: `startproject` of that release makes it.

    Raises:
        OperatorError: it does not make one of these arguments any more.
    """
    if not record or not record.startproject:
        return release.root
    command = [sys.executable, "oppman.py", "startproject", *record.startproject, str(folder)]
    result = subprocess.run(  # noqa: S603 - the release is what its owner named
        command,
        cwd=release.root,
        env={**Git(folder).environment, "PYTHONDONTWRITEBYTECODE": "1", PREPARED: "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        told = (result.stderr.strip() or "no reason").splitlines()[-1]
        words = " ".join(record.startproject)
        raise OperatorError(f"Opportune {release.version} made no project of «startproject {words}»: {told}")
    return folder


def _prefix(git: Git) -> str:
    try:
        prefix = git("rev-parse", "--show-prefix").strip()
        git("ls-files", "--error-unmatch", "--", "oppman.py")
    except GitError as error:
        if "not a git repository" in str(error) or "did not match" in str(error):
            raise OperatorError(
                "This project is not in git, which could bring it back: git init && git add --all && git commit first."
            ) from error
        raise
    return prefix


def _hash_of(file: Path) -> str:
    return blob_hash(file.read_bytes()) if file.is_file() else ""


def _lines(numbers: Sequence[int]) -> str:
    return f"line{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}"


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Let nobody end this process for the moment in which the project changes."""
    old = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
