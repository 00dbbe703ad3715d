"""Upgrade the framework on a new git branch.

The branch is called upgrade-VERSION. It gets the new wheel in `vendor/`, its pin in requirements.lock, and the changes
of files such as Dockerfile, merged with yours. Names of earlier versions in your code are changed to the current ones.
"""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from opportune import __version__
from opportune.cli.environment.locks import BASE, FRAMEWORK_PIN
from opportune.cli.environment.virtual_environment import VENV
from opportune.cli.output import say
from opportune.cli.project.code_upgrade import upgrade_code
from opportune.cli.project.git import Git, refuse_existing_branch, require_clean_branch, switch_to
from opportune.cli.project.merge import Merge, merge_release, work_tree
from opportune.cli.project.newer_release import fetch_release, is_newer, notes_between
from opportune.cli.project.release import NAME, Release
from opportune.cli.project.shared_files import RECORD, ProjectNames, read_record
from opportune.cli.scaffold.file_changes import replace_files
from opportune.cli.terminal import printable
from opportune.errors import OperatorError
from opportune.plurals import pluralize
from opportune.project.atomic_files import private_folder
from opportune.project.layout import FRAMEWORK, PROJECT

RENAME, MAKE_MIGRATIONS, MIGRATE = ["upgrade"], ["makemigrations", "--no-input"], ["migrate"]
CHECK, TEST = ["check"], ["test", "--project"]
"""Arguments of commands that complete an upgrade."""


def command(
    source: Annotated[
        str,
        typer.Argument(
            metavar="[WHEEL|VERSION]",
            help="A wheel, or a version of the package index. #sha256=… after a wheel checks its hash. "
            "Without it, your code is changed to the names of the installed release.",
            show_default=False,
        ),
    ] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list the changes.")] = False,
    no_test: Annotated[bool, typer.Option("--no-test", help="Do not run the project's tests.")] = False,
) -> None:
    names, pinned_hash = require_project(PROJECT)
    git = Git(PROJECT, is_uninterruptible=True)
    main = require_clean_branch(git)
    if not source:
        _rename_in_code(dry_run=dry_run)
        return
    with private_folder("opportune-upgrade-") as folder:
        release = fetch_release(source, folder)
        if not is_newer(release, pinned_hash):
            return
        branch = f"upgrade-{release.version}"
        refuse_existing_branch(git, branch)
        _print_notes(release)
        with work_tree(git, folder / "project") as tree:
            merge = merge_release(tree, release, names, pinned_hash, folder)
            _print_changes(tree, merge)
            if dry_run:
                say("Nothing was changed (--dry-run).")
                return
            tree("commit", "--quiet", "--no-gpg-sign", "--message", f"Upgrade to Opportune {release.version}")
            switch_to(git, branch, tree("rev-parse", "HEAD").strip())
        new_migrations = sorted(_migrations_in(release.root / NAME) - _migrations_in(FRAMEWORK))
    _finish(merge, main, release.version, new_migrations, no_test=no_test)


def _rename_in_code(*, dry_run: bool) -> None:
    """Change names of earlier versions in the project's code, and print those that the user has to change."""
    upgrade = upgrade_code(PROJECT)
    if not dry_run:
        replace_files(upgrade.texts, PROJECT)
    for line in upgrade.changed:
        say(printable(line))
    if upgrade.remaining:
        print("\n  ".join(["Change these lines yourself:", *map(printable, upgrade.remaining)]))
    if dry_run:
        say("Nothing was changed (--dry-run).")
    elif upgrade.texts:
        say(f"Changed {pluralize(len(upgrade.texts), 'file')}. To see the changes: git diff")
    elif not upgrade.remaining:
        say("The code uses no names of earlier versions.")


def require_project(folder: Path) -> tuple[ProjectNames, str]:
    """Return the names of a project and the hash of its wheel. Refuse a clone of the starter."""
    if not (names := read_record(folder)):
        raise OperatorError(
            "This is a clone of the starter. Update it with git pull, or create a project: "
            "python3 oppman.py startproject NAME"
        )
    pin = FRAMEWORK_PIN.search((folder / BASE).read_text(encoding="utf-8"))
    if not pin:
        raise OperatorError(f"{BASE} does not pin opportune. Restore it: git checkout HEAD -- {BASE} {RECORD}")
    return names, pin[2]


def _print_notes(release: Release) -> None:
    say(f"Opportune {__version__} -> {release.version}")
    for line in notes_between((release.root / NAME / "docs/changelog.md").read_text("utf-8"), release.version):
        say(printable(line))


def _print_changes(git: Git, merge: Merge) -> None:
    differences = git("diff", "--cached", "--stat=100", "--relative", "--no-renames", "--no-color", "HEAD")
    say("\n".join(map(printable, differences.splitlines())))
    for path in merge.unchanged:
        print(f"{path} was not merged, because you have added, replaced or deleted it yourself.")
    for lock in merge.replaced_locks:
        print(f"{lock} is the release's, without your own dependencies. Add them with: python3 oppman.py lock")
    if merge.conflicts:
        print("Conflicts:")
    for path, lines in merge.conflicts.items():
        print(f"  {path}: line {lines}")


def _migrations_in(package: Path) -> set[str]:
    """Return the migrations of the framework, such as `jobs/0002_steps.py`."""
    return {f"{file.parent.name}/{file.name}" for file in package.glob("**/migrations/*/[0-9]*.py")}


def _finish(merge: Merge, main: str, version: str, new_migrations: Sequence[str], *, no_test: bool) -> None:
    """Install the release, write missing migrations, run check and tests, and print the next steps."""
    branch = f"upgrade-{version}"
    switch_back = f"git switch {main}"
    say(f"You are now on the branch {branch}. To see the changes: git diff {main}. To go back: {switch_back}")
    if new_migrations:
        say(f"New migrations of the framework: {', '.join(new_migrations)}.")
    all_steps = [*map(_command, (RENAME, MAKE_MIGRATIONS, MIGRATE, CHECK, TEST))]
    if merge.conflicts:
        _print_steps("git commit --all --message='Resolve conflicts'", *all_steps, after="resolving the conflicts")
        raise typer.Exit(1)
    if Path(sys.prefix).resolve() != PROJECT / VENV.name:
        _print_steps(f"python3 -m pip install --no-deps --require-hashes -r {BASE}", *all_steps)
        return
    checks, next_steps = _plan_checks(
        is_updated=_update_code(version), needs_migration=bool(new_migrations), no_test=no_test
    )
    for arguments in checks:
        if run(arguments):
            raise OperatorError(f"`{' '.join(arguments)}` fails on {branch}. Fix it there, or go back: {switch_back}")
    _print_steps(*map(_command, next_steps), f"{switch_back} && git merge {branch}")


def _plan_checks(*, is_updated: bool, needs_migration: bool, no_test: bool) -> tuple[list[list[str]], list[list[str]]]:
    """Return the commands that check the upgrade, and those that the user runs later.

    If the code is not updated, it lacks migrations that the new release needs.
    """
    checks = [CHECK]
    next_steps: list[list[str]] = []
    if needs_migration or not is_updated:
        # The user decides when to migrate the database. Until then, only the code is checked.
        checks = [[*CHECK, "--no-database"]]
        next_steps = [MIGRATE, CHECK] if is_updated else [MIGRATE, MAKE_MIGRATIONS, CHECK]
    (next_steps if no_test else checks).append(TEST)
    return checks, next_steps


def _update_code(version: str) -> bool:
    """Commit what the release changes in the code: names, migrations and .env.example. Return False on failure."""
    if any(map(run, (RENAME, MAKE_MIGRATIONS, ["env", "example"]))):
        return False
    git = Git(PROJECT)
    if git("status", "--porcelain").strip():
        git("add", "--all")
        git("commit", "--quiet", "--message", f"Update the code for Opportune {version}")
    return True


def run(arguments: Sequence[str]) -> int:
    return subprocess.call([sys.executable, "oppman.py", *arguments], cwd=PROJECT)


def _print_steps(*steps: str, after: str = "") -> None:
    say(f"Next, after {after}:" if after else "Next:")
    for step in steps:
        say(f"  {step}")


def _command(arguments: Sequence[str]) -> str:
    return f"python3 oppman.py {' '.join(arguments)}"
