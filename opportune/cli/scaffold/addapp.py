"""Install a feature that is a package, and list it in installed.py.

The source is a folder, a wheel, or the name of a package. A package that is already installed is only listed. If a step
fails, all files are restored.
"""

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from opportune.cli.environment.locks import BASE
from opportune.cli.environment.virtual_environment import VENV, prepare
from opportune.cli.output import say, say_next
from opportune.cli.project.lock import command as update_locks
from opportune.cli.project.shared_files import VENDOR, with_wheel
from opportune.cli.project.upgrade import require_project
from opportune.cli.scaffold import packages
from opportune.cli.scaffold.feature_names import name_problem
from opportune.cli.scaffold.file_changes import write_files
from opportune.cli.scaffold.installed import INSTALLED, with_feature
from opportune.errors import OperatorError
from opportune.project.atomic_files import private_folder
from opportune.project.feature_packages import feature_packages
from opportune.project.layout import PROJECT
from opportune.project.pyproject import PYPROJECT, read_pyproject


def command(
    source: Annotated[
        str,
        typer.Argument(
            metavar="PATH|WHEEL|NAME", help="A source folder, a wheel, or a package's name.", show_default=False
        ),
    ],
) -> None:
    with private_folder("opportune-addapp-") as folder:
        wheel = packages.find_wheel(source, folder)
        package = packages.read_wheel(wheel, folder) if wheel else packages.read_installed(source)
        if package:
            require_free_name(package)
        if wheel or not package:
            require_own_environment()
        with write_files(new_texts(source, package), PROJECT / VENDOR, old_wheels(package)):
            package = package if package and not wheel else install(source, package)
            list_feature(package)
            require_start(package)
    print_next_steps(package)


def require_free_name(package: packages.FeaturePackage) -> None:
    """Check that no other feature has the name of this one. Another version of the same package may be installed.

    Raises:
        OperatorError: The name is taken or invalid.
    """
    if package.feature in feature_packages():
        return
    if problem := name_problem(package.feature):
        raise OperatorError(f"{package.name} has the feature {package.feature}, which cannot be added: {problem}")


def require_own_environment() -> None:
    """Check that packages can be installed: this is a project, and its `.venv` is active.

    Raises:
        OperatorError: This is a clone of the starter, or another environment is active.
    """
    require_project(PROJECT)
    read_pyproject(PROJECT)
    if Path(sys.prefix).resolve() != VENV:
        raise OperatorError(
            f"addapp installs into {VENV}, but {sys.prefix} is active. Deactivate it, or install the package there "
            "and enter its name."
        )


def new_texts(source: str, package: packages.FeaturePackage | None) -> dict[Path, str | bytes]:
    """Return the contents of the files that may change, with the package if it is not installed yet."""
    locks = [BASE, *(path.relative_to(PROJECT).as_posix() for path in PROJECT.glob("requirements/*.lock"))]
    texts = {name: (PROJECT / name).read_text(encoding="utf-8") for name in (INSTALLED, PYPROJECT, *locks)}
    files: dict[Path, str | bytes] = {}
    if package and package.wheel:
        texts[PYPROJECT] = packages.with_dependency(texts[PYPROJECT], f"{package.name}=={package.version}")
        lock = packages.without_pin(texts[BASE], package.name)
        texts[BASE] = with_wheel(lock, package.name, package.version, package.wheel_hash)
        files[PROJECT / VENDOR / package.wheel.name] = package.wheel.read_bytes()
    elif not package:
        texts[PYPROJECT] = packages.with_dependency(texts[PYPROJECT], source)
    return {PROJECT / name: text for name, text in texts.items()} | files


def old_wheels(package: packages.FeaturePackage | None) -> list[Path]:
    """Return the wheels of other versions of the package in `vendor/`."""
    if not package or not package.wheel:
        return []
    name = package.wheel.name.partition("-")[0]
    return [path for path in (PROJECT / VENDOR).glob(f"{name}-*.whl") if path.name != package.wheel.name]


def install(source: str, package: packages.FeaturePackage | None) -> packages.FeaturePackage:
    """Complete the locks and install them into `.venv`.

    Raises:
        OperatorError: A package cannot be installed, or has no feature that can be added.
    """
    lock = (PROJECT / BASE).read_text(encoding="utf-8")
    if not package or not packages.satisfies(lock, package.requirements):
        update_locks(upgrade=False, check=False)
    prepare(["addapp"])
    installed = packages.read_installed(package.name if package else source)
    if not installed:
        raise OperatorError(f"{source} was not installed into {VENV}. See the log: {VENV / 'install.log'}")
    require_free_name(installed)
    return installed


def list_feature(package: packages.FeaturePackage) -> None:
    if package.feature not in feature_packages():
        path = PROJECT / INSTALLED
        text = with_feature(path.read_text(encoding="utf-8"), package.feature, package.module)
        with write_files({path: text}, PROJECT / VENDOR):
            pass


def require_start(package: packages.FeaturePackage) -> None:
    """Check in a new process that the site starts with the feature.

    Raises:
        OperatorError: It does not.
    """
    command = [sys.executable, str(PROJECT / "oppman.py"), "routes"]
    result = subprocess.run(command, cwd=PROJECT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if result.returncode:
        message = (result.stderr.strip() or result.stdout.strip() or "no error message").splitlines()[-1]
        raise OperatorError(f"The site does not start with {package.feature}, so it was not added. {message}")


def print_next_steps(package: packages.FeaturePackage) -> None:
    say(f"Added {package.feature} of {package.name} {package.version} to {INSTALLED}.")
    if f"\n{package.name}==" not in (PROJECT / BASE).read_text(encoding="utf-8"):
        say(f"{package.name} is not in {BASE}, so other machines do not install it.")
    say_next("migrate", "check")
