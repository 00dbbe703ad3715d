"""Runs git and turns its errors into one-line messages. git is optional for a new project."""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from opportune.errors import OperatorError
from opportune.plurals import list_first

ERROR_MESSAGE = re.compile(r"^(?:fatal|error): (.*?)(?=\n\n|\nPlease|\nAborting|\nhint|\Z)", re.MULTILINE | re.DOTALL)
"""The relevant part of git's error output."""
HOOK_VARIABLES = {
    f"GIT_{name}" for name in ("DIR", "WORK_TREE", "INDEX_FILE", "OBJECT_DIRECTORY", "PREFIX", "COMMON_DIR")
}
"""Variables that git sets for its hooks. They would direct commands to another repository."""


class GitError(OperatorError):
    """An error reported by git."""


@dataclass(frozen=True)
class Git:
    """Runs git commands in a folder."""

    folder: Path
    options: Sequence[str] = ()
    environ: Mapping[str, str] = field(default_factory=dict)
    is_uninterruptible: bool = False
    """True if Ctrl-C must not interrupt git."""

    def __call__(self, *arguments: str | Path) -> str:
        """Return the output of a git command."""
        result = self.run(*arguments)
        if result.returncode:
            output = os.fsdecode(result.stderr).strip() or "no error message"
            match = ERROR_MESSAGE.search(output)
            message = match[1] if match else output
            raise GitError(f"git {arguments[0]} failed: {message}")
        return os.fsdecode(result.stdout)

    def succeeds(self, *arguments: str | Path) -> bool:
        return self.run(*arguments).returncode == 0

    def run(self, *arguments: str | Path) -> subprocess.CompletedProcess[bytes]:
        """Return output and exit code of a git command."""
        if not (program := shutil.which("git")):
            raise GitError("git is not installed. Install it (Debian: apt install git).")
        inherited = {name: value for name, value in os.environ.items() if name not in HOOK_VARIABLES}
        return subprocess.run(
            [program, *self.options, *arguments],
            cwd=self.folder,
            env={**inherited, "LC_ALL": "C", **self.environ},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            start_new_session=self.is_uninterruptible,
            check=False,
        )


def has_repository(folder: Path) -> bool:
    """Return whether a folder has a repository, and git is installed."""
    return (folder / ".git").exists() and shutil.which("git") is not None


FIRST_COMMIT_COMMAND = "git init && git add --all && git commit -m Begin"
NO_IDENTITY = "Nothing is committed yet, because git has no user name and e-mail address."
COMMIT_STEPS = (
    'git config --global user.name "NAME" && git config --global user.email "E-MAIL"',
    "git commit -m Begin",
)
"""Commands that make the first commit, printed with NO_IDENTITY."""


def first_commit(folder: Path, message: str) -> str:
    """Create a repository and commit all files. Return a note on how to do it later if that fails; empty on success."""
    git = Git(folder)
    try:
        git("init", "--quiet", "--initial-branch=main")
        git("add", "--all")
        if not git.succeeds("var", "GIT_COMMITTER_IDENT"):
            return NO_IDENTITY
        git("commit", "--quiet", f"--message={message}")
    except GitError as error:
        reason = str(error).rstrip(".")
        return f"The project has no git repository ({reason}). Create it in its folder: {FIRST_COMMIT_COMMAND}"
    return ""


def require_clean_branch(git: Git) -> str:
    """Return the current branch of a project without uncommitted changes."""
    try:
        is_tracked = bool(git("ls-files", "--", "oppman.py"))
    except GitError as error:
        if "not a git repository" not in str(error):
            raise
        is_tracked = False
    if not is_tracked:
        raise OperatorError(
            "This project is not in git, so the upgrade could not be undone. "
            "Run first: git init && git add --all && git commit"
        )
    header, *changed = git("status", "--porcelain", "--branch").splitlines()
    if header == "## HEAD (no branch)":
        raise OperatorError("HEAD is detached. Switch to a branch first: git switch BRANCH")
    if header.startswith("## No commits yet on "):
        raise OperatorError("Nothing is committed yet. Run git add --all && git commit, then try again.")
    if changed:
        files = list_first([line[3:] for line in changed], 3)
        raise OperatorError(f"There are uncommitted changes ({files}). Commit them, or run git stash -u.")
    if not git.succeeds("var", "GIT_COMMITTER_IDENT"):
        raise OperatorError("Git has no user name. Set it: git config --global user.name …, and user.email …")
    return header.removeprefix("## ").partition("...")[0]


def refuse_existing_branch(git: Git, name: str) -> None:
    if git.succeeds("rev-parse", "--verify", "--quiet", f"refs/heads/{name}"):
        raise OperatorError(f"The branch {name} already exists. Use it, or delete it: git branch -D {name}")


def switch_to(git: Git, branch: str, commit: str) -> None:
    """Create a branch and switch to it. Ctrl-C is ignored, because it would leave files of both branches."""
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        git("switch", "--quiet", "--no-overwrite-ignore", "--create", branch, commit)
    finally:
        signal.signal(signal.SIGINT, handler)
