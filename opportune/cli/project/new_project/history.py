"""Git repository of a new project. git is optional."""

from pathlib import Path

from opportune.cli.project.git import Git, GitError

FIRST_COMMIT_COMMAND = "git init && git add --all && git commit -m Begin"
NO_IDENTITY = "Nothing is committed yet, because git has no user name and e-mail address."
COMMIT_STEPS = (
    'git config --global user.name "NAME" && git config --global user.email "E-MAIL"',
    "git commit -m Begin",
)
"""Commands that make the first commit, printed with NO_IDENTITY."""


def first_commit(folder: Path, message: str) -> str:
    """Create a repository and commit all files.

    Returns:
        A note on how to do it later if it failed; empty on success.
    """
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
