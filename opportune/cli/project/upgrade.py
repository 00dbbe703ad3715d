"""Take the next release of the framework, on a branch of git.

The branch is upgrade-VERSION. Your own files stay as they are. Where you have changed the framework, both changes
are merged.
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
"""A diff that is longer is shown if somebody asks for it."""
STATUS = {"M": "changed", "A": "new", "D": "deleted", "T": "changed"}
"""Words for git's status letters."""
MIGRATIONS = "opportune/migrations"


def command(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="A folder, a .zip or .tar.gz (https too), or a git address (@TAG if not the newest).",
            show_default=False,
        ),
    ] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what it would do.")] = False,
    yes: Annotated[
        bool, typer.Option("--yes", "--no-input", help="Ask nothing: take all changes of shared files, such as locks.")
    ] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Take none of them.")] = False,
    no_test: Annotated[bool, typer.Option("--no-test", help="Do not run the project's tests afterwards.")] = False,
) -> None:
    if yes and keep:
        raise typer.BadParameter("--yes and --keep exclude each other.")
    if not (PROJECT / "opportune").is_dir():
        raise OperatorError("Opportune is an installed package here: pip install --upgrade takes the next release.")
    project, record = Project.at(PROJECT), read_record(PROJECT)
    if not (source := source or (record.source if record else _origin(project))):
        raise typer.BadParameter("Say where the next release is: a folder, an archive or a git address.")
    version = record.version if record else __version__
    with private_folder("opportune-upgrade-") as folder:
        release = fetch_release(source, folder / "release")
        if not is_newer(release, version):
            return
        merge = Merge(project, record, version, release, folder)
        project.refuse_branch(merge.branch)
        tell_notes(release, version, source)
        merge.carry_out()
        tell_framework(merge)
        take_shared(merge, yes=yes, keep=keep, dry_run=dry_run)
        tell_conflicts(merge)
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
    """Tell if the release is newer.

    Raises:
        OperatorError: the project stands on a later release.
    """
    if parse_version(release.version) < parse_version(version):
        raise OperatorError(f"That is {release.version}, and this project stands on {version}: git revert goes back.")
    if parse_version(release.version) == parse_version(version):
        print(f"This project stands on {version} already.")
        return False
    return True


def tell_notes(release: Release, version: str, source: str) -> None:
    say(f"Opportune {version} -> {release.version} ({redacted(source)})")
    changelog = release.root / "CHANGELOG.md"
    text = changelog.read_text(encoding="utf-8", errors="replace") if changelog.is_file() else ""
    for line in notes_between(text, version, release.version):
        say(printable(line))


def tell_framework(merge: Merge) -> None:
    counts = Counter(STATUS[change.status] for change in merge.changes(*FRAMEWORK_PATHS, *STARTER_PATHS))
    say(f"Framework: {', '.join(f'{count} {words}' for words, count in counts.items())}.")
    if new := new_migrations(merge):
        say(f"New migrations: {', '.join(new)}.")


def new_migrations(merge: Merge) -> list[str]:
    return [change.path.removeprefix(f"{MIGRATIONS}/") for change in merge.changes(MIGRATIONS) if change.status == "A"]


def take_shared(merge: Merge, *, yes: bool, keep: bool, dry_run: bool) -> None:
    """Ask for each file that is the project's as well, unless an option answers.

    Raises:
        OperatorError: nobody is there to answer.
    """
    changes = merge.changes(*SHARED_PATHS)
    if changes and not (yes or keep or dry_run or sys.stdin.isatty()):
        names = ", ".join(change.path for change in changes)
        raise OperatorError(f"The release changes {names} too: --yes takes that, --keep does not, --dry-run shows it.")
    for change in changes:
        diff = merge.diff(change.path).splitlines()
        say(f"{change.path}: {STATUS[change.status]}, {_counted(diff)}")
        if len(diff) <= MAX_SHOWN_LINES and not yes and not keep:
            show(diff)
        if keep or not (yes or dry_run or is_wanted(diff)):
            merge.keep(change.path)
    for path in merge.own:
        print(f"{path} stays as you have it; the release's: git show {merge.branch}^2:{merge.project.prefix}{path}")
    for lock in merge.remade_locks:
        print(f"{lock} is the release's, without your own dependencies: python3 oppman.py lock adds them.")


def _counted(diff: Sequence[str]) -> str:
    added, removed = (sum(line.startswith(mark) for line in diff) for mark in "+-")
    return f"+{added} -{removed} lines"


def show(diff: Sequence[str]) -> None:
    for line in diff:
        style = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1])
        print(styled(printable(line), style) if style else printable(line))


def is_wanted(diff: Sequence[str]) -> bool:
    while True:
        answer: str = typer.prompt("Take it? [y/n/show]")
        answer = answer.strip().lower()
        if answer in {"s", "show"}:
            show(diff)
        if answer in {"y", "yes", "n", "no"}:
            return answer.startswith("y")


def tell_conflicts(merge: Merge) -> None:
    if merge.conflicts:
        print("To be resolved:")
    for path, reason in sorted(merge.conflicts.items()):
        print(f"  {path}: {reason}")


def finish(merge: Merge, *, no_test: bool) -> None:
    """Say where everything is, and look whether it works."""
    branch, back = merge.branch, f"git switch {merge.project.branch}"
    say(f"It is on the branch {branch}, where you are now. Back to where you were: {back}")
    check, test, migrate = ["check"], ["test", "--project"], ["migrate"]
    if merge.conflicts:
        say(f"Next: edit these files (git diff --check {merge.project.branch} finds the markers), then")
        tell_steps("git commit --all --message='Conflicts resolved'", *map(_called, (migrate, check, test)))
        raise typer.Exit(1)
    # What has to be migrated is no mistake, and whether the rows are to be changed already is their owner's to say.
    waiting = [migrate, check] if new_migrations(merge) else []
    for words in [each for each in (check, test) if not (each in waiting or (no_test and each == test))]:
        if subprocess.call([sys.executable, "oppman.py", *words], cwd=PROJECT):
            raise OperatorError(f"`{' '.join(words)}` fails on {branch}: mend it there, or go back: {back}")
    say("Next:")
    tell_steps(*map(_called, [*waiting, *([test] if no_test else [])]), f"{back} && git merge {branch}")


def tell_steps(*steps: str) -> None:
    for step in steps:
        say(f"  {step}")


def _called(words: Sequence[str]) -> str:
    return f"python3 oppman.py {' '.join(words)}"
