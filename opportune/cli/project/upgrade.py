"""Upgrade the framework on a new git branch.

The branch is called upgrade-VERSION. Your own files are not changed. Your changes of the framework are merged with
those of the release.
"""

import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from typing import Annotated

import typer

from opportune import __version__
from opportune.cli.output import say
from opportune.cli.project.release import FRAMEWORK_PATHS, SHARED_PATHS, STARTER_PATHS, parse_version, read_record
from opportune.cli.project.upgrading.merge import Merge
from opportune.cli.project.upgrading.notes import notes_between
from opportune.cli.project.upgrading.repository import Project
from opportune.cli.project.upgrading.source import Release, fetch_release, redacted
from opportune.cli.terminal import printable, styled
from opportune.config.project import PROJECT
from opportune.errors import OperatorError
from opportune.runtime.atomic_files import private_folder

MAX_SHOWN_LINES = 40
"""Longer diffs are shown only on request."""
STATUS = {"M": "changed", "A": "new", "D": "deleted", "T": "changed"}
"""Words for git's status letters."""
MIGRATIONS = "opportune/migrations"


def command(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="A folder, a .zip or .tar.gz (also https), or a git address (@TAG for an older release).",
            show_default=False,
        ),
    ] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show the changes.")] = False,
    yes: Annotated[
        bool, typer.Option("--yes", "--no-input", help="Accept all changes of shared files, such as locks.")
    ] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Reject all changes of shared files.")] = False,
    no_test: Annotated[bool, typer.Option("--no-test", help="Do not run the project's tests.")] = False,
) -> None:
    if yes and keep:
        raise typer.BadParameter("--yes and --keep cannot be combined.")
    if not (PROJECT / "opportune").is_dir():
        raise OperatorError("Opportune is installed as a package. Upgrade it with pip install --upgrade.")
    project, record = Project.at(PROJECT), read_record(PROJECT)
    if not (source := source or (record.source if record else _origin(project))):
        raise typer.BadParameter("Enter the source of the release: a folder, an archive or a git address.")
    version = record.version if record else __version__
    with private_folder("opportune-upgrade-") as folder:
        release = fetch_release(source, folder / "release")
        if not is_newer(release, version):
            return
        merge = Merge(project, record, version, release, folder)
        project.refuse_branch(merge.branch)
        print_notes(release, version, source)
        merge.carry_out()
        print_framework_changes(merge)
        review_shared_files(merge, yes=yes, keep=keep, dry_run=dry_run)
        print_conflicts(merge)
        if dry_run:
            say("Nothing was changed (--dry-run).")
            return
        merge.commit()
        project.take(merge.branch, merge.work)
    finish(merge, no_test=no_test)


def _origin(project: Project) -> str:
    """Return the origin of a plain clone."""
    keys = ("remote.upstream.url", "remote.origin.url")
    return next(filter(None, (project.git("config", "--get", key, codes=(0, 1)).strip() for key in keys)), "")


def is_newer(release: Release, version: str) -> bool:
    """Return True if the release is newer than the project's.

    Raises:
        OperatorError: the release is older than the project's.
    """
    if parse_version(release.version) < parse_version(version):
        raise OperatorError(
            f"The release {release.version} is older than the project's {version}. To go back, use git revert."
        )
    if parse_version(release.version) == parse_version(version):
        print(f"This project already uses {version}.")
        return False
    return True


def print_notes(release: Release, version: str, source: str) -> None:
    say(f"Opportune {version} -> {release.version} ({redacted(source)})")
    changelog = release.root / "CHANGELOG.md"
    text = changelog.read_text(encoding="utf-8", errors="replace") if changelog.is_file() else ""
    for line in notes_between(text, version, release.version):
        say(printable(line))


def print_framework_changes(merge: Merge) -> None:
    counts = Counter(STATUS[change.status] for change in merge.changes(*FRAMEWORK_PATHS, *STARTER_PATHS))
    say(f"Framework: {', '.join(f'{count} {status}' for status, count in counts.items())}.")
    if new := new_migrations(merge):
        say(f"New migrations: {', '.join(new)}.")


def new_migrations(merge: Merge) -> list[str]:
    return [change.path.removeprefix(f"{MIGRATIONS}/") for change in merge.changes(MIGRATIONS) if change.status == "A"]


def review_shared_files(merge: Merge, *, yes: bool, keep: bool, dry_run: bool) -> None:
    """Ask about each changed file that the project shares with the framework, unless an option decides.

    Raises:
        OperatorError: a question is needed, but there is no terminal.
    """
    changes = merge.changes(*SHARED_PATHS)
    if changes and not (yes or keep or dry_run or sys.stdin.isatty()):
        names = ", ".join(change.path for change in changes)
        raise OperatorError(
            f"The release also changes {names}. Add --yes to accept, --keep to reject or --dry-run to see the changes."
        )
    for change in changes:
        diff = merge.diff(change.path).splitlines()
        say(f"{change.path}: {STATUS[change.status]}, {_line_counts(diff)}")
        if len(diff) <= MAX_SHOWN_LINES and not yes and not keep:
            show(diff)
        if keep or not (yes or dry_run or confirm_change(diff)):
            merge.keep(change.path)
    for path in merge.unchanged:
        print(f"{path} is not changed. See the release's: git show {merge.branch}^2:{merge.project.prefix}{path}")
    for lock in merge.replaced_locks:
        print(f"{lock} is the release's, without your own dependencies. Add them with: python3 oppman.py lock")


def _line_counts(diff: Sequence[str]) -> str:
    added, removed = (sum(line.startswith(mark) for line in diff) for mark in "+-")
    return f"+{added} -{removed} lines"


def show(diff: Sequence[str]) -> None:
    for line in diff:
        style = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1])
        print(styled(printable(line), style) if style else printable(line))


def confirm_change(diff: Sequence[str]) -> bool:
    while True:
        reply: str = typer.prompt("Accept the change? [y/n/show]")
        reply = reply.strip().lower()
        if reply in {"s", "show"}:
            show(diff)
        if reply in {"y", "yes", "n", "no"}:
            return reply.startswith("y")


def print_conflicts(merge: Merge) -> None:
    if merge.conflicts:
        print("Conflicts:")
    for path, reason in sorted(merge.conflicts.items()):
        print(f"  {path}: {reason}")


def finish(merge: Merge, *, no_test: bool) -> None:
    """Run check and tests, and print the next steps."""
    branch, back = merge.branch, f"git switch {merge.project.branch}"
    say(f"You are now on the branch {branch}. To go back: {back}")
    check, test, migrate = ["check"], ["test", "--project"], ["migrate"]
    if merge.conflicts:
        say(f"Next: resolve these conflicts (git diff --check {merge.project.branch} lists the markers), then run")
        print_steps("git commit --all --message='Conflicts resolved'", *map(_command, (migrate, check, test)))
        raise typer.Exit(1)
    # The user decides when to migrate the database, and `check` fails until then.
    pending = [migrate, check] if new_migrations(merge) else []
    for arguments in [check, test]:
        if arguments in pending or (no_test and arguments == test):
            continue
        if subprocess.call([sys.executable, "oppman.py", *arguments], cwd=PROJECT):
            raise OperatorError(f"`{' '.join(arguments)}` fails on {branch}. Fix it there, or go back: {back}")
    say("Next:")
    print_steps(*map(_command, [*pending, *([test] if no_test else [])]), f"{back} && git merge {branch}")


def print_steps(*steps: str) -> None:
    for step in steps:
        say(f"  {step}")


def _command(arguments: Sequence[str]) -> str:
    return f"python3 oppman.py {' '.join(arguments)}"
