"""The git of a project that is to be upgraded: whether it can go back, and how it takes a branch whole."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from opportune.cli.project.git import Git, GitError
from opportune.errors import OperatorError

UNFINISHED = ("MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "rebase-merge", "rebase-apply", "BISECT_LOG")


@dataclass(frozen=True)
class Project:
    """A project in git, with everything committed."""

    git: Git
    top: str
    """The folder of the repository."""
    prefix: str
    """The project's folder in there, as `site/`; empty where it is the repository."""
    branch: str
    head: str

    @classmethod
    def at(cls, folder: Path) -> "Project":
        """Look whether a branch can be made from what is there.

        Raises:
            OperatorError: with what is in the way.
        """
        git = Git(folder, is_uninterruptible=True)
        top, prefix, *unfinished = _places(git)
        if doing := next((place for place in unfinished if (folder / place).exists()), None):
            raise OperatorError(f"Git is in the middle of something ({Path(doing).name}): finish or abort it first.")
        branch = _clean_branch(git)
        if not git.answers("var", "GIT_COMMITTER_IDENT"):
            raise OperatorError("Git does not know who you are: git config --global user.name …, and user.email …")
        head = git("rev-parse", "HEAD").strip()
        if len(head) != 40:
            raise OperatorError("This repository names its objects by SHA-256: upgrade knows SHA-1 alone.")
        return cls(git, top, prefix, branch, head)

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


def _places(git: Git) -> list[str]:
    """Where the repository is, where the project is in it, and what would lie there if git were not done."""
    try:
        git("ls-files", "--error-unmatch", "--", "oppman.py")
        unfinished = (word for name in UNFINISHED for word in ("--git-path", name))
        return git("rev-parse", "--show-toplevel", "--show-prefix", *unfinished).splitlines()
    except GitError as error:
        if "not a git repository" in str(error) or "did not match" in str(error):
            raise OperatorError(
                "This project is not in git, which could bring it back: git init && git add --all && git commit first."
            ) from error
        raise


def _clean_branch(git: Git) -> str:
    header, *changed = git("status", "--porcelain", "--branch").splitlines()
    if header == "## HEAD (no branch)":
        raise OperatorError("HEAD is detached, so there is no branch to come back to: git switch to one first.")
    if header.startswith("## No commits yet on "):
        raise OperatorError("Nothing is committed yet: git add --all && git commit, then run this again.")
    if changed:
        more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
        named = ", ".join(line[3:] for line in changed[:3])
        raise OperatorError(f"There is work that is not committed ({named}{more}): commit it, or git stash -u.")
    return header.removeprefix("## ").partition("...")[0]


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Let nobody end this process for the moment in which the project changes."""
    old = {}
    if threading.current_thread() is threading.main_thread():  # no other gets signals
        old = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
