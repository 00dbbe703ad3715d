"""Git repository of the project to upgrade."""

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
    """A project in git without uncommitted changes."""

    git: Git
    top: str
    """The folder of the repository."""
    prefix: str
    """Folder of the project in the repository, such as `site/`; empty for the top folder."""
    branch: str
    head: str

    @classmethod
    def at(cls, folder: Path) -> "Project":
        """Return the project in a folder, if a branch can be created from its state.

        Raises:
            OperatorError: the repository is not ready.
        """
        git = Git(folder, is_uninterruptible=True)
        top, prefix, *marker_files = _paths(git)
        if unfinished := next((Path(file).name for file in marker_files if (folder / file).exists()), None):
            raise OperatorError(f"A git operation is not finished ({unfinished}). Finish or abort it first.")
        branch = _clean_branch(git)
        if not git.succeeds("var", "GIT_COMMITTER_IDENT"):
            raise OperatorError("Git has no user name. Set it: git config --global user.name …, and user.email …")
        head = git("rev-parse", "HEAD").strip()
        if len(head) != 40:
            raise OperatorError("This repository uses SHA-256, but upgrade supports only SHA-1.")
        return cls(git, top, prefix, branch, head)

    def require_new_branch(self, name: str) -> None:
        if self.git.succeeds("rev-parse", "--verify", "--quiet", f"refs/heads/{name}"):
            raise OperatorError(f"The branch {name} already exists. Continue there, or delete it: git branch -D {name}")

    def switch_to(self, branch: str, merged: Git) -> None:
        """Fetch a branch from a clone and switch to it, or change nothing.

        Raises:
            GitError: the branch cannot be fetched or checked out.
        """
        name = f"refs/heads/{branch}"
        with _ignore_interrupts():
            try:
                self.git("fetch", "--quiet", "--no-tags", str(merged.folder), f"{name}:{name}")
                self.git("checkout", "--quiet", "--no-overwrite-ignore", branch)
            except BaseException:
                self.git.run("symbolic-ref", "HEAD", f"refs/heads/{self.branch}")
                self.git.run("reset", "--quiet", "--hard", self.head)
                self.git.run("branch", "--quiet", "-D", branch)
                raise


def _paths(git: Git) -> list[str]:
    """Return the top folder, the project's prefix, and the files that mark unfinished operations."""
    try:
        git("ls-files", "--error-unmatch", "--", "oppman.py")
        unfinished = (word for name in UNFINISHED for word in ("--git-path", name))
        return git("rev-parse", "--show-toplevel", "--show-prefix", *unfinished).splitlines()
    except GitError as error:
        if "not a git repository" in str(error) or "did not match" in str(error):
            raise OperatorError(
                "This project is not in git, so the upgrade could not be undone. "
                "Run first: git init && git add --all && git commit"
            ) from error
        raise


def _clean_branch(git: Git) -> str:
    header, *changed = git("status", "--porcelain", "--branch").splitlines()
    if header == "## HEAD (no branch)":
        raise OperatorError("HEAD is detached. Switch to a branch first: git switch BRANCH")
    if header.startswith("## No commits yet on "):
        raise OperatorError("Nothing is committed yet. Run git add --all && git commit, then try again.")
    if changed:
        more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
        files = ", ".join(line[3:] for line in changed[:3])
        raise OperatorError(f"There are uncommitted changes ({files}{more}). Commit them, or run git stash -u.")
    return header.removeprefix("## ").partition("...")[0]


@contextmanager
def _ignore_interrupts() -> Iterator[None]:
    """Ignore SIGINT and SIGTERM while the project changes."""
    old = {}
    if threading.current_thread() is threading.main_thread():  # only the main thread handles signals
        old = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
