"""Upgrade the framework on a new git branch.

The branch is called upgrade-VERSION. It gets the new wheel in `vendor/`, its pin in requirements.lock, and the changes
of files such as Dockerfile, merged with yours. Your other files are not changed.
"""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from opportune import __version__
from opportune.cli.environment.entry import BASE, VENV
from opportune.cli.environment.framework_wheel import PIN
from opportune.cli.output import say
from opportune.cli.project.git import Git
from opportune.cli.project.record import RECORD, Record, parse_version, read_record
from opportune.cli.project.upgrading.merge import Merge
from opportune.cli.project.upgrading.notes import notes_between
from opportune.cli.project.upgrading.release import Release, fetch_release, migrations_in, redacted
from opportune.cli.project.upgrading.repository import Project
from opportune.cli.terminal import printable, styled
from opportune.config.project import FRAMEWORK, PROJECT
from opportune.errors import OperatorError
from opportune.runtime.atomic_files import private_folder

MAX_SHOWN_LINES = 40
"""Longer diffs are shown only on request."""
STATUS = {"M": "changed", "A": "new", "D": "deleted", "T": "changed"}
"""Words for git's status letters."""
CHECK, TEST, MIGRATE, MAKE_MIGRATIONS = ["check"], ["test", "--project"], ["migrate"], ["makemigrations", "--no-input"]


def command(
    source: Annotated[
        str,
        typer.Argument(
            metavar="WHEEL|URL|VERSION",
            help="A wheel, its https address, or a version. #sha256=… after a wheel checks its hash.",
            show_default=False,
        ),
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show the changes.")] = False,
    yes: Annotated[
        bool, typer.Option("--yes", "--no-input", help="Accept all changes of shared files, such as locks.")
    ] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Reject all changes of shared files, except the pin.")] = False,
    no_test: Annotated[bool, typer.Option("--no-test", help="Do not run the project's tests.")] = False,
) -> None:
    if yes and keep:
        raise typer.BadParameter("--yes and --keep cannot be combined.")
    record, pinned_hash = require_project(PROJECT)
    project = Project.at(PROJECT)
    with private_folder("opportune-upgrade-") as folder:
        release = fetch_release(source, folder)
        if not is_newer(release):
            return
        merge = Merge(project, record, pinned_hash, release, folder)
        project.require_new_branch(merge.branch)
        print_notes(release, source)
        merge.run()
        review_shared_files(merge, yes=yes, keep=keep, dry_run=dry_run)
        print_conflicts(merge)
        if dry_run:
            say("Nothing was changed (--dry-run).")
            return
        merge.commit()
        project.switch_to(merge.branch, merge.clone)
        new_migrations = sorted(release.migrations - migrations_in(FRAMEWORK))
    finish(merge, new_migrations, no_test=no_test)


def require_project(folder: Path) -> tuple[Record, str]:
    """Return the record of a project and the hash of its wheel.

    Raises:
        OperatorError: this is a clone of the starter, or its lock has no wheel of the framework.
    """
    if not (record := read_record(folder)):
        raise OperatorError(
            "This is a clone of the starter. Update it with git pull, or make it a project: "
            "python3 oppman.py startproject NAME --here"
        )
    if not (pin := PIN.search((folder / BASE).read_text(encoding="utf-8"))):
        raise OperatorError(f"{BASE} does not pin opportune. Restore it: git checkout HEAD -- {BASE} {RECORD}")
    return record, pin[2]


def is_newer(release: Release) -> bool:
    """Return True if the release is newer than the project's.

    Raises:
        OperatorError: the release is older than the project's.
    """
    if parse_version(release.version) < parse_version(__version__):
        raise OperatorError(
            f"The release {release.version} is older than the project's {__version__}. To go back, use git revert."
        )
    if parse_version(release.version) == parse_version(__version__):
        print(f"This project already uses {__version__}.")
        return False
    return True


def print_notes(release: Release, source: str) -> None:
    say(f"Opportune {__version__} -> {release.version} ({redacted(source)})")
    for line in notes_between(release.changelog, __version__, release.version):
        say(printable(line))


def review_shared_files(merge: Merge, *, yes: bool, keep: bool, dry_run: bool) -> None:
    """Ask about each changed file that the project shares with the framework, unless an option decides.

    Raises:
        OperatorError: a question is needed, but there is no terminal.
    """
    changes = merge.changes()
    if changes and not (yes or keep or dry_run or sys.stdin.isatty()):
        names = ", ".join(change.path for change in changes)
        raise OperatorError(
            f"The release also changes {names}. Add --yes to accept, --keep to reject or --dry-run to see the changes."
        )
    for change in changes:
        diff = merge.diff(change.path).splitlines()
        say(f"{change.path}: {STATUS[change.status]}, {_line_counts(diff)}")
        if len(diff) <= MAX_SHOWN_LINES and not yes and not keep:
            print_diff(diff)
        if keep or not (yes or dry_run or confirm_change(diff)):
            merge.keep(change.path)
    for path in merge.unchanged:
        print(f"{path} is not changed, because you have added or deleted it yourself.")
    for lock in merge.replaced_locks:
        print(f"{lock} is the release's, without your own dependencies. Add them with: python3 oppman.py lock")


def _line_counts(diff: Sequence[str]) -> str:
    added, removed = (sum(line.startswith(mark) for line in diff) for mark in "+-")
    return f"+{added} -{removed} lines"


def print_diff(diff: Sequence[str]) -> None:
    for line in diff:
        style = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1])
        print(styled(printable(line), style) if style else printable(line))


def confirm_change(diff: Sequence[str]) -> bool:
    while True:
        reply: str = typer.prompt("Accept the change? [y/n/show]")
        reply = reply.strip().lower()
        if reply in {"s", "show"}:
            print_diff(diff)
        if reply in {"y", "yes", "n", "no"}:
            return reply.startswith("y")


def print_conflicts(merge: Merge) -> None:
    if merge.conflicts:
        print("Conflicts:")
    for path, reason in sorted(merge.conflicts.items()):
        print(f"  {path}: {reason}")


def finish(merge: Merge, new_migrations: Sequence[str], *, no_test: bool) -> None:
    """Install the release, write missing migrations, run check and tests, and print the next steps."""
    branch, switch_back = merge.branch, f"git switch {merge.project.branch}"
    say(f"You are now on the branch {branch}. To go back: {switch_back}")
    if merge.conflicts:
        say(f"Next: resolve these conflicts (git diff --check {merge.project.branch} lists the markers), then run")
        commands = (MAKE_MIGRATIONS, MIGRATE, CHECK, TEST)
        print_steps("git commit --all --message='Resolve conflicts'", *map(_command, commands))
        raise typer.Exit(1)
    if Path(sys.prefix).resolve() != PROJECT / VENV.name:
        install = f"python3 -m pip install --no-deps --require-hashes -r {BASE}"
        say("Next, because this environment is not .venv:")
        print_steps(install, *map(_command, (MAKE_MIGRATIONS, MIGRATE, CHECK, TEST)))
        return
    failed = [] if update_generated_files(merge.release.version) else [MAKE_MIGRATIONS]
    if new_migrations:
        say(f"New migrations of the framework: {', '.join(new_migrations)}.")
    # The user decides when to migrate the database, and `check` fails until then.
    pending = [MIGRATE, *failed, CHECK] if new_migrations or failed else []
    for arguments in [CHECK, TEST]:
        if arguments in pending or (no_test and arguments == TEST):
            continue
        if run(arguments):
            raise OperatorError(f"`{' '.join(arguments)}` fails on {branch}. Fix it there, or go back: {switch_back}")
    say("Next:")
    print_steps(*map(_command, [*pending, *([TEST] if no_test else [])]), f"{switch_back} && git merge {branch}")


def update_generated_files(version: str) -> bool:
    """Commit generated files that depend on the framework: migrations and .env.example. Return False on failure."""
    if run(MAKE_MIGRATIONS) or subprocess.call([sys.executable, "-m", "opportune.config.env_example"], cwd=PROJECT):
        return False
    git = Git(PROJECT)
    if git("status", "--porcelain").strip():
        git("add", "--all")
        git("commit", "--quiet", "--message", f"Update generated files for Opportune {version}")
    return True


def run(arguments: Sequence[str]) -> int:
    return subprocess.call([sys.executable, "oppman.py", *arguments], cwd=PROJECT)


def print_steps(*steps: str) -> None:
    for step in steps:
        say(f"  {step}")


def _command(arguments: Sequence[str]) -> str:
    return f"python3 oppman.py {' '.join(arguments)}"
