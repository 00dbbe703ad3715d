"""Install a feature that is a package, and list it in installed.py.

The source is a folder, a wheel, or the name of a package. A package that is already installed is only listed. If a step
fails, all files are restored.
"""

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from opportune.cli.environment.locks import BASE, pins, required_locks
from opportune.cli.environment.virtual_environment import VENV, install_missing
from opportune.cli.output import say, say_next
from opportune.cli.process import last_line
from opportune.cli.project.lock import command as update_locks
from opportune.cli.project.release import hash_of
from opportune.cli.project.shared_files import VENDOR, with_wheel
from opportune.cli.project.upgrade import require_project
from opportune.cli.scaffold import packages
from opportune.cli.scaffold.feature_names import name_problem
from opportune.cli.scaffold.file_changes import replace_files, write_files
from opportune.cli.scaffold.installed import INSTALLED, one_at_a_time, with_feature
from opportune.errors import OperatorError
from opportune.project.atomic_files import private_folder
from opportune.project.feature_packages import feature_packages
from opportune.project.layout import PROJECT
from opportune.project.pyproject import PYPROJECT, read_pyproject
from opportune.project.text_files import read_text

START_TIMEOUT_SECONDS = 120


def command(
    source: Annotated[
        str,
        typer.Argument(
            metavar="PATH|WHEEL|NAME", help="A source folder, a wheel, or a package's name.", show_default=False
        ),
    ],
) -> None:
    with private_folder("opportune-addapp-") as folder, one_at_a_time(PROJECT):
        wheel = packages.find_wheel(source, folder)
        if wheel:
            package = _add_wheel(packages.read_wheel(wheel, folder), wheel)
        elif installed := packages.read_installed(source):
            package = _add_installed(installed)
        else:
            package = _add_from_index(source)
    _print_next_steps(package)


def _add_wheel(package: packages.FeaturePackage, wheel: Path) -> packages.FeaturePackage:
    """Copy a wheel to `vendor/`, install and list it, and return the installed package."""
    require_free_name(package)
    _require_own_environment()
    with write_files(_changed_files_with_wheel(package, wheel), PROJECT / VENDOR, _old_wheels(wheel)):
        if not packages.satisfies(read_text(PROJECT / BASE), package.requirements):
            update_locks(upgrade=False, check=False)
        return install(package.name)


def _add_installed(package: packages.FeaturePackage) -> packages.FeaturePackage:
    """List a package that is already installed."""
    require_free_name(package)
    with write_files(_read_restorable_files(), PROJECT / VENDOR):
        _list_feature(package)
    return package


def _add_from_index(name: str) -> packages.FeaturePackage:
    """Install and list a package of the index, and return it."""
    _require_own_environment()
    pyproject = packages.with_dependency(read_text(PROJECT / PYPROJECT), name)
    with write_files({**_read_restorable_files(), PROJECT / PYPROJECT: pyproject}, PROJECT / VENDOR):
        update_locks(upgrade=False, check=False)
        return install(name)


def require_free_name(package: packages.FeaturePackage) -> None:
    """Check that no other feature has the name of this one. Another version of the same package may be installed."""
    if package.feature in feature_packages():
        return
    if problem := name_problem(package.feature):
        raise OperatorError(f"{package.name} has the feature {package.feature}, which cannot be added: {problem}")


def _require_own_environment() -> None:
    """Check that packages can be installed: this is a project, and its `.venv` is active."""
    require_project(PROJECT)
    read_pyproject(PROJECT)
    if Path(sys.prefix).resolve() != VENV:
        raise OperatorError(
            f"addapp installs into {VENV}, but {sys.prefix} is active. Deactivate it, or install the package there "
            "and enter its name."
        )


def _read_restorable_files() -> dict[Path, str | bytes]:
    """Return the contents of the files that may change, which are restored if a step fails."""
    locks = (path.relative_to(PROJECT).as_posix() for path in PROJECT.glob("requirements/*.lock"))
    return {PROJECT / name: read_text(PROJECT / name) for name in (INSTALLED, PYPROJECT, BASE, *locks)}


def _changed_files_with_wheel(package: packages.FeaturePackage, wheel: Path) -> dict[Path, str | bytes]:
    """Return the contents of the files with the wheel in `vendor/`, as a dependency and in the lock."""
    requirement = f"{package.name}=={package.version}"
    lock = packages.without_pin(read_text(PROJECT / BASE), package.name)
    return {
        **_read_restorable_files(),
        PROJECT / PYPROJECT: packages.with_dependency(read_text(PROJECT / PYPROJECT), requirement),
        PROJECT / BASE: with_wheel(lock, package.name, package.version, hash_of(wheel)),
        PROJECT / VENDOR / wheel.name: wheel.read_bytes(),
    }


def _old_wheels(wheel: Path) -> list[Path]:
    """Return the wheels of other versions of the package in `vendor/`."""
    name = wheel.name.partition("-")[0]
    return [path for path in (PROJECT / VENDOR).glob(f"{name}-*.whl") if path.name != wheel.name]


def install(name: str) -> packages.FeaturePackage:
    """Install the locked packages into `.venv`, list the feature of the package, and return it."""
    install_missing(required_locks(["addapp"]))
    installed = packages.read_installed(name)
    if not installed:
        raise OperatorError(f"{name} was not installed into {VENV}. See the log: {VENV / 'install.log'}")
    require_free_name(installed)
    _list_feature(installed)
    return installed


def _list_feature(package: packages.FeaturePackage) -> None:
    if package.feature not in feature_packages():
        text = with_feature(read_text(PROJECT / INSTALLED), package.feature, package.module)
        replace_files({PROJECT / INSTALLED: text}, PROJECT / VENDOR)
    _require_start(package)


def _require_start(package: packages.FeaturePackage) -> None:
    """Check in a new process that the site starts with the feature."""
    problem = ""
    try:
        result = subprocess.run(
            [sys.executable, str(PROJECT / "oppman.py"), "routes"],
            cwd=PROJECT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=START_TIMEOUT_SECONDS,
            check=False,
        )
        if result.returncode:
            problem = last_line(result.stderr.strip() or result.stdout)
    except subprocess.TimeoutExpired:
        problem = f"It was not ready after {START_TIMEOUT_SECONDS} seconds."
    if problem:
        raise OperatorError(f"The site does not start with {package.feature}, so it was not added. {problem}")


def _print_next_steps(package: packages.FeaturePackage) -> None:
    say(f"Added {package.feature} of {package.name} {package.version} to {INSTALLED}.")
    if package.name not in pins(read_text(PROJECT / BASE)):
        say(f"{package.name} is not in {BASE}, so other machines do not install it.")
    say_next("migrate", "check")
