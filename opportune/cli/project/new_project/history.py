"""What startproject asks of git, which need not be there."""

import re
from pathlib import Path

from opportune.cli.project.git import Git, GitError

LATER = "git init && git add --all && git commit -m Begin"
NO_IDENTITY = "Nothing is committed yet: git does not know who you are."
COMMIT_STEPS = (
    'git config --global user.name "NAME" && git config --global user.email "E-MAIL"',
    "git commit -m Begin",
)
"""Lines to paste in the project's folder, in this order, after NO_IDENTITY."""


def first_commit(folder: Path, message: str) -> str:
    """Make a repository of all that is not ignored.

    Returns:
        One line on what could not be done, and how to do it later; empty if there is nothing to tell.
    """
    git = Git(folder)
    try:
        git("init", "--quiet", "--initial-branch=main")
        git("add", "--all")
        if not git.answers("var", "GIT_COMMITTER_IDENT"):
            return NO_IDENTITY
        git("commit", "--quiet", f"--message={message}")
    except GitError as error:
        return f"Nothing keeps its history yet: {str(error).rstrip('.')}. Later, in its folder: {LATER}"
    return ""


def origin(folder: Path) -> str:
    """The address that a clone comes from, without a password; empty if it has none."""
    try:
        return re.sub(r"(?<=://)[^/]*@", "", Git(folder)("remote", "get-url", "origin").strip())
    except GitError:
        return ""


def unsaved_work(folder: Path) -> str:
    """What a folder has that would be lost with its history, as the end of a sentence; empty if there is none."""
    if not (folder / ".git").exists():
        return ""  # no clone: then there is no history to lose
    git = Git(folder)
    try:
        if changes := git("status", "--porcelain").splitlines():
            return f"has changes that are not committed ({changes[0][3:]}): commit them"
        own = git("log", "--branches", "--not", "--remotes", "--format=%h %s", "--max-count=1").strip()
        if own and git("remote"):
            return f"has commits that no other place has ({own}): push them"
    except GitError as error:
        return f"may have changes that are not committed ({error}): see to git"
    return ""
