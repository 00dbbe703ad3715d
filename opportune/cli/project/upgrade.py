"""Upgrade the framework on a new git branch.

The branch is called upgrade-VERSION. It gets the new wheel in `vendor/`, its pin in requirements.lock, and the changes
of files such as Dockerfile, merged with yours. Names of earlier versions in your code are changed to the current ones.
"""

import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer
from packaging.version import InvalidVersion, Version

from opportune import __version__
from opportune.cli.environment.locks import BASE, FRAMEWORK_PIN
from opportune.cli.environment.virtual_environment import VENV
from opportune.cli.output import say
from opportune.cli.project.code_upgrade import upgrade_code
from opportune.cli.project.git import Git, new_branch, require_clean_branch, switch_to
from opportune.cli.project.merge import Merge, merge_release, work_tree
from opportune.cli.project.release import NAME, Release, hash_of, install_from_index, read_release
from opportune.cli.project.shared_files import RECORD, STARTER, ProjectNames, read_record
from opportune.cli.scaffold.file_changes import write_files
from opportune.cli.terminal import printable
from opportune.errors import OperatorError
from opportune.plurals import pluralize
from opportune.project.atomic_files import private_folder
from opportune.project.layout import FRAMEWORK, PROJECT

RENAME, MAKE_MIGRATIONS, MIGRATE = ["upgrade"], ["makemigrations", "--no-input"], ["migrate"]
CHECK, TEST = ["check"], ["test", "--project"]
"""Arguments of commands that complete an upgrade."""
COUNTED = ("Added", "Changed", "Fixed")
"""Headings of the changelog whose entries need no action."""


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
        rename_in_code(dry_run=dry_run)
        return
    with private_folder("opportune-upgrade-") as folder:
        release = fetch_release(source, folder)
        if not is_newer(release, pinned_hash):
            return
        branch = new_branch(git, f"upgrade-{release.version}")
        print_notes(release)
        with work_tree(git, folder / "project") as tree:
            merge = merge_release(tree, release, names, pinned_hash, folder)
            print_changes(tree, merge)
            if dry_run:
                say("Nothing was changed (--dry-run).")
                return
            tree("commit", "--quiet", "--no-gpg-sign", "--message", f"Upgrade to Opportune {release.version}")
            switch_to(git, branch, tree("rev-parse", "HEAD").strip())
        new_migrations = sorted(migrations_in(release.root / NAME) - migrations_in(FRAMEWORK))
    finish(merge, main, release.version, new_migrations, no_test=no_test)


def rename_in_code(*, dry_run: bool) -> None:
    """Change names of earlier versions in the project's code, and print those that the user has to change."""
    upgrade = upgrade_code(PROJECT)
    if not dry_run:
        with write_files(upgrade.texts, PROJECT):
            pass
    for line in upgrade.changed:
        say(printable(line))
    if upgrade.remaining:
        print("Change these lines yourself:")
    for line in upgrade.remaining:
        print(f"  {printable(line)}")
    if dry_run:
        say("Nothing was changed (--dry-run).")
    elif upgrade.texts:
        say(f"Changed {pluralize(len(upgrade.texts), 'file')}. To see the changes: git diff")
    elif not upgrade.remaining:
        say("The code uses no names of earlier versions.")


def require_project(folder: Path) -> tuple[ProjectNames, str]:
    """Return the names of a project and the hash of its wheel.

    Raises:
        OperatorError: This is a clone of the starter, or its lock has no wheel of the framework.
    """
    if not (names := read_record(folder)):
        raise OperatorError(
            "This is a clone of the starter. Update it with git pull, or create a project: "
            "python3 oppman.py startproject NAME"
        )
    pin = FRAMEWORK_PIN.search((folder / BASE).read_text(encoding="utf-8"))
    if not pin:
        raise OperatorError(f"{BASE} does not pin opportune. Restore it: git checkout HEAD -- {BASE} {RECORD}")
    return names, pin[2]


def print_notes(release: Release) -> None:
    say(f"Opportune {__version__} -> {release.version}")
    for line in notes_between((release.root / NAME / "docs/changelog.md").read_text("utf-8"), release.version):
        say(printable(line))


def print_changes(git: Git, merge: Merge) -> None:
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


def migrations_in(package: Path) -> set[str]:
    """Return the migrations of the framework, such as `jobs/0002_steps.py`."""
    return {f"{file.parent.name}/{file.name}" for file in package.glob("**/migrations/*/[0-9]*.py")}


def finish(merge: Merge, main: str, version: str, new_migrations: Sequence[str], *, no_test: bool) -> None:
    """Install the release, write missing migrations, run check and tests, and print the next steps."""
    branch = f"upgrade-{version}"
    switch_back = f"git switch {main}"
    say(f"You are now on the branch {branch}. To see the changes: git diff {main}. To go back: {switch_back}")
    if new_migrations:
        say(f"New migrations of the framework: {', '.join(new_migrations)}.")
    all_steps = [*map(_command, (RENAME, MAKE_MIGRATIONS, MIGRATE, CHECK, TEST))]
    if merge.conflicts:
        print_steps("git commit --all --message='Resolve conflicts'", *all_steps, after="resolving the conflicts")
        raise typer.Exit(1)
    if Path(sys.prefix).resolve() != PROJECT / VENV.name:
        print_steps(f"python3 -m pip install --no-deps --require-hashes -r {BASE}", *all_steps)
        return
    failed = [] if update_code(version) else [MAKE_MIGRATIONS]
    # The user decides when to migrate the database. Until then, only the code is checked.
    pending = [MIGRATE, *failed, CHECK] if new_migrations or failed else []
    if no_test:
        pending.append(TEST)
    for arguments in ([*CHECK, "--no-database"] if CHECK in pending else CHECK, TEST):
        if arguments not in pending and run(arguments):
            raise OperatorError(f"`{' '.join(arguments)}` fails on {branch}. Fix it there, or go back: {switch_back}")
    print_steps(*map(_command, pending), f"{switch_back} && git merge {branch}")


def update_code(version: str) -> bool:
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


def print_steps(*steps: str, after: str = "") -> None:
    say(f"Next, after {after}:" if after else "Next:")
    for step in steps:
        say(f"  {step}")


def _command(arguments: Sequence[str]) -> str:
    return f"python3 oppman.py {' '.join(arguments)}"


def fetch_release(source: str, folder: Path) -> Release:
    """Install a wheel, or a version of the package index, into a folder.

    Raises:
        OperatorError: The source does not exist, has another hash, or is not a release of the framework.
    """
    location, _, fragment = source.partition("#")
    wheel = Path(location).expanduser()
    if "://" in location:
        raise OperatorError("A release cannot be an address. Download its wheel first, or enter its version.")
    if wheel.is_dir():
        raise OperatorError(f"{wheel} is a folder. In a clone of Opportune, build a wheel: uv build --wheel")
    if wheel.is_file():
        if fragment and fragment != f"sha256={hash_of(wheel)}":
            raise OperatorError(f"{wheel} does not have the hash {fragment}. Download it again, or check it.")
        release = read_release(wheel, folder / "release")
    elif is_version(location):
        release = install_from_index(location.removeprefix("v"), folder / "release")
    else:
        raise OperatorError(f"{location} does not exist. Enter a wheel or a version.")
    if not is_version(release.version) or not (release.root / NAME / STARTER).is_dir():
        raise OperatorError(f"{source} is not a release of Opportune that a project can use.")
    return release


def is_version(text: str) -> bool:
    try:
        Version(text)
    except InvalidVersion:
        return False
    return True


def is_newer(release: Release, pinned_hash: str) -> bool:
    """Return True if the release is newer than the project's.

    Raises:
        OperatorError: The release is older than the project's, or another wheel of its version.
    """
    if Version(release.version) < Version(__version__):
        raise OperatorError(
            f"The release {release.version} is older than the project's {__version__}. To go back, use git revert."
        )
    if Version(release.version) == Version(__version__):
        if release.hash != pinned_hash:  # installers do not replace a package by another one of its version
            raise OperatorError(f"This is another wheel of {__version__}. Build it with a higher version.")
        print(f"This project already uses {__version__}.")
        return False
    return True


def notes_between(changelog: str, new_version: str) -> Iterator[str]:
    """Yield the lines of the changelog that need action for an upgrade to a version, newest release first."""
    for section in re.split(r"^## +", changelog, flags=re.MULTILINE)[1:]:
        title, *parts = re.split(r"^### +", section, flags=re.MULTILINE)
        version = title.split()[0].strip("[]")
        if is_version(version) and Version(__version__) < Version(version) <= Version(new_version):
            yield f"{version}:"
            for part in parts:
                if not part.startswith(COUNTED):
                    yield from (f"  {line}" for line in part.splitlines() if line)
