"""Finds or creates the environment for commands. Uses only the standard library.

An active environment with the dependencies is used unchanged. Otherwise they are installed into `.venv`, and oppman.py
restarts there. `.venv` has a copy of each installed lock, so that only changed locks are installed.
"""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from pkgutil import get_data
from typing import Never

from opportune.cli.environment.arguments import COMMON_OPTIONS, refuse_wrong_arguments
from opportune.cli.environment.framework_wheel import require_framework_wheel
from opportune.cli.environment.installation import UNFINISHED, InstallError, echo, run_installer
from opportune.cli.process import exec_process
from opportune.cli.registry import COMPLETION_VARIABLE, MODULES, PROGRAM, describe_command, is_overview_request
from opportune.cli.usage import wrong_usage
from opportune.errors import OperatorError
from opportune.errors.suggestions import did_you_mean
from opportune.project.layout import PROJECT, env_file_value

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

SCRIPT = PROJECT / "oppman.py"
VENV = PROJECT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
TESTS = PROJECT / "tests"
FRAMEWORK_TESTS = TESTS / "opportune"
ONLY_PROJECT = "--project"
"""Option of `oppman.py test` that runs only the project's tests."""
BASE = "requirements.lock"
MODEL, AWS, GCP, AZURE, BACKUP, TELEMETRY, VENDORS, OFFICE, AG_UI, DEV, FRAMEWORK, BUILD = (
    f"requirements/{name}.lock"
    for name in (
        *("model", "aws", "gcp", "azure", "backup", "telemetry", "llm-vendors", "office", "ag-ui"),
        *("dev", "framework", "build"),
    )
)
DEVELOPMENT_COMMANDS = (
    ["lock"],
    ["upgrade"],
    ["startapp"],
    ["addmodel"],
    ["addapp"],
    ["inspectdb"],
    ["deploy", "rehearse"],
)
"""Commands that need the development dependencies."""
LOCKS_OF_SECRETS = {"aws": AWS, "gcp": GCP, "azure": AZURE}
OPTIONAL_LOCKS = {
    **LOCKS_OF_SECRETS,
    "backup": BACKUP,
    "telemetry": TELEMETRY,
    "llm-vendors": VENDORS,
    "office": OFFICE,
    "ag-ui": AG_UI,
}
"""Locks that a project gets when it needs them."""
LOCKS_BY_NAME = {**OPTIONAL_LOCKS, "dev": DEV}
"""Locks that the command `install` installs."""
SETTINGS_BY_LOCK = {
    BACKUP: ("BACKUP_RECIPIENT", "BACKUP_IDENTITY"),
    TELEMETRY: ("OTEL_EXPORTER_OTLP_ENDPOINT", "SENTRY_DSN"),
    VENDORS: ("LLM_DIALECT",),
}
"""Locks that a command needs if one of these settings has a value."""
MARKER_PACKAGES = ("alembic", "nh3", "pwdlib", "sqladmin", "typer")
"""Packages whose presence shows that the dependencies are installed."""
BUILD_PACKAGES = ("babel", "hatchling")
"""Packages that build the wheel of the framework."""
PREPARED = "OPPMAN_PREPARED"
"""Environment variable that is set for the restarted oppman.py, to prevent endless restarts."""


def enter(arguments: list[str]) -> None:
    """Return if the packages for the command are installed. Otherwise install them and restart in `.venv`, or exit."""
    is_in_venv = Path(sys.prefix).resolve() == VENV
    is_ready = is_in_venv and (VENV / BASE).exists()
    is_unpacked = Path(__file__).is_file()  # False in the wheel of vendor/
    is_installed = is_unpacked and all(map(importlib.util.find_spec, MARKER_PACKAGES))
    is_unfinished = is_in_venv and (VENV / UNFINISHED).exists()
    if os.environ.pop(PREPARED, "") or (not is_ready and is_installed and not is_unfinished):
        return
    if COMPLETION_VARIABLE in os.environ and not (VENV / BASE).exists():
        sys.exit(1)  # completion must not install packages
    if not are_installed([BASE]):
        refuse_misspelt_command(arguments)
    if is_overview_request(arguments) or is_help_request(arguments):
        show_help(arguments, is_in_venv=is_in_venv)
        return
    if not are_installed([BASE]):
        refuse_wrong_arguments(arguments)
    if sys.prefix != sys.base_prefix and not is_in_venv and not (VENV / BASE).exists():
        echo(f"The active environment ({sys.prefix}) has no dependencies. They are installed into {VENV}.")
    try:
        installed = prepare(arguments)
    except OSError as error:
        sys.exit(f"Cannot install into {VENV}: {error.strerror or error}. Check its permissions and the free space.")
    except InstallError as error:
        sys.exit(str(error))
    if installed or not is_in_venv:
        restart(arguments)


def refuse_misspelt_command(arguments: list[str]) -> None:
    """Exit for a misspelt command before packages are installed. Other unknown names may be commands of features."""
    name = command_name(arguments)
    if not name.startswith("-") and (hint := name not in MODULES and did_you_mean(name, MODULES)):
        print(wrong_usage(PROGRAM, f"Unknown command {name!r}.{hint}"), file=sys.stderr)
        sys.exit(2)


def show_help(arguments: list[str], *, is_in_venv: bool) -> None:
    """Install nothing for the help, and return or restart if the command line can show it."""
    if not are_installed([BASE]):
        print(describe_command(command_name(arguments)))
        sys.exit(0)
    if not is_in_venv:
        restart(arguments)


def command_name(arguments: list[str]) -> str:
    words = [word for word in arguments if word not in COMMON_OPTIONS]
    return next(iter(words[1:] if words[:1] == ["help"] else words), "-")


def is_help_request(arguments: list[str]) -> bool:
    own_arguments = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return arguments[:1] == ["help"] or not {"-h", "--help"}.isdisjoint(own_arguments)


def restart(arguments: list[str]) -> Never:
    """Run the same command with the Python of `.venv`."""
    isolated = ["-I"] if sys.flags.isolated else []
    exec_process([str(PYTHON), *isolated, str(SCRIPT), *arguments], {**os.environ, PREPARED: "1"})


def prepare(arguments: list[str]) -> bool:
    """Install the locks that the command needs. Return True if anything was missing."""
    words = [word for word in arguments if not word.startswith("-")]
    command = words[0] if words else ""
    locks = [BASE, *secrets_locks()]
    if command == "test":
        locks += locks_of_tests(arguments)
    elif any(words[: len(prefix)] == prefix for prefix in DEVELOPMENT_COMMANDS):
        locks.append(DEV)
    locks += [lock for lock, names in SETTINGS_BY_LOCK.items() if any(map(read_setting, names))]
    return install_missing(locks, [MODEL] if needs_model(command, arguments) else [])


def python_with_hatchling() -> str:
    """Return a Python that can build the wheel of the framework. Its packages are installed if necessary.

    Raises:
        OperatorError: the installation fails.
    """
    if all(map(importlib.util.find_spec, BUILD_PACKAGES)):
        return sys.executable
    try:
        install_missing([BUILD])
    except OSError as error:
        raise OperatorError(f"Cannot install into {VENV}: {error.strerror or error}.") from error
    except InstallError as error:
        raise OperatorError(str(error)) from error
    return str(PYTHON)


def install_missing(locks: list[str], model: Sequence[str] = ()) -> bool:
    """Install locks, and those of the model if possible. Return True if anything was missing."""
    if are_installed([*locks, *model]):
        return False
    try:
        with installation_lock():
            if not are_installed([*locks, *model]):
                require_framework_wheel(PROJECT)
                for lock in locks:
                    add_lock(lock)
                make_environment()
            for lock in filter(is_outdated, locks):
                install(lock)
            for lock in filter(is_outdated, model):
                install_if_possible(lock)
    except OSError as error:
        if not are_installed(locks):
            raise
        skip_model(f"Cannot install into {VENV}: {error.strerror or error}.")
        return False
    return True


def add_lock(lock: str) -> None:
    """Write an optional lock of this release into the project, unless the project has it."""
    if lock in OPTIONAL_LOCKS.values() and not (PROJECT / lock).exists():
        content = get_data("opportune", f"starter/{lock}") or b""
        (PROJECT / lock).parent.mkdir(exist_ok=True)
        (PROJECT / lock).write_bytes(content)
        echo(f"Wrote {lock}. Commit it.")
        base = pins((PROJECT / BASE).read_text(encoding="utf-8"))
        if any(base.get(name, version) != version for name, version in pins(content.decode()).items()):
            echo(f"Your {BASE} has other versions of its packages. Next: python3 oppman.py lock")


def pins(lock: str) -> dict[str, str]:
    """Return the versions of a lock by package."""
    return dict(re.findall(r"^([\w.-]+)==(\S+)", lock, re.MULTILINE))


def locks_of_tests(arguments: list[str]) -> list[str]:
    """Return the locks for these pytest arguments. The framework's tests need more packages."""
    return [DEV] if project_tests(arguments) or not FRAMEWORK_TESTS.is_dir() else [DEV, FRAMEWORK]


def project_tests(arguments: list[str]) -> list[Path]:
    """Return the selected tests if only tests of the project are selected; otherwise an empty list."""
    if ONLY_PROJECT in arguments or (not FRAMEWORK_TESTS.is_dir() and not any(map(is_path, arguments))):
        return [path for path in TESTS.iterdir() if path != FRAMEWORK_TESTS]
    paths = [(PROJECT / word.partition("::")[0]).resolve() for word in arguments if is_path(word)]
    return paths if all(TESTS in path.parents and not path.is_relative_to(FRAMEWORK_TESTS) for path in paths) else []


def is_path(word: str) -> bool:
    return not word.startswith("-") and (PROJECT / word.partition("::")[0]).exists()


def needs_model(command: str, arguments: list[str]) -> bool:
    if command != "test":
        return command == "quickstart" and "--no-model" not in arguments
    files = [file for path in project_tests(arguments) for file in (path, *path.rglob("*.py")) if file.is_file()]
    return not files or any(b"pytest.mark.model" in file.read_bytes() for file in files)


def secrets_locks() -> list[str]:
    """Return the lock that `SECRETS_FROM` in the environment or .env needs."""
    scheme, _, names = read_setting("SECRETS_FROM").partition(":")
    is_complete = all(name.strip() for name in names.split(","))
    return [LOCKS_OF_SECRETS[scheme]] if is_complete and scheme in LOCKS_OF_SECRETS else []


def read_setting(name: str) -> str:
    """Return a setting from the environment or .env, without the settings classes."""
    value = os.environ.get(name)
    return env_file_value(name) if value is None else value.strip(" \t\r\n\"'")


def are_installed(locks: list[str]) -> bool:
    return PYTHON.exists() and not any(map(is_outdated, locks))


def is_outdated(lock: str) -> bool:
    try:
        return (VENV / lock).read_bytes() != (PROJECT / lock).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return True


@contextmanager
def installation_lock() -> Iterator[None]:
    """Lock the file oppman.py for the installation. The system releases the lock when the process ends."""
    with SCRIPT.open("r+b") as file:
        if sys.platform == "win32":
            file.seek(1 << 30)  # beyond the end of the file, because other processes cannot read locked bytes
            msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
        else:
            os.set_inheritable(file.fileno(), True)  # an installer that outlives this process keeps the lock
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                echo("Waiting for another oppman.py that is installing packages ...")
                fcntl.flock(file, fcntl.LOCK_EX)
        yield


def make_environment() -> None:
    """Create `.venv`. An existing one is replaced if its installation was interrupted or its Python does not run."""
    uv = shutil.which("uv")
    if is_usable() and (uv or has_pip(PYTHON)):
        return
    if not uv and not importlib.util.find_spec("ensurepip"):
        raise InstallError("Python's venv is missing. Install it (Debian: apt install python3-venv), or install uv.")
    if not is_usable():
        shutil.rmtree(VENV, ignore_errors=True)
    VENV.mkdir(exist_ok=True)
    python = getattr(sys, "_base_executable", sys.executable)  # sys.executable may be in the removed .venv
    command = [uv, "venv", "--allow-existing", "--python", python] if uv else [python, "-m", "venv"]
    run_installer(VENV, "Preparing", ".venv", [*command, str(VENV)])


def is_usable() -> bool:
    """Return True if the Python of `.venv` runs and no installation was interrupted."""
    return is_supported_python(PYTHON) and not (VENV / UNFINISHED).exists()


def is_supported_python(python: Path) -> bool:
    test = "import sys; sys.exit(sys.version_info < (3, 11))"
    try:
        return subprocess.call([python, "-c", test], stderr=subprocess.DEVNULL) == 0
    except OSError:
        return False


def has_pip(python: Path) -> bool:
    """Return False for an environment of uv."""
    return subprocess.call([python, "-c", "import pip"], stderr=subprocess.DEVNULL) == 0


def install(lock: str, *options: str) -> None:
    uv = shutil.which("uv")
    command = uv_install(uv) if uv else [str(PYTHON), "-m", "pip", "install", "--no-user"]  # overrides PIP_USER
    (VENV / lock).unlink(missing_ok=True)
    run_installer(
        VENV, "Installing", lock, [*command, "--no-deps", "--require-hashes", *options, "-r", str(PROJECT / lock)]
    )
    (VENV / lock).parent.mkdir(exist_ok=True)
    shutil.copyfile(PROJECT / lock, VENV / lock)


def uninstall(package: str) -> None:
    """Remove a package from `.venv`, if that is the environment of this process."""
    if Path(sys.prefix).resolve() != VENV:
        return
    uv = shutil.which("uv")
    command = [uv, "pip", "uninstall", "--python", str(PYTHON)] if uv else [str(PYTHON), "-m", "pip", "uninstall", "-y"]
    run_installer(VENV, "Uninstalling", package, [*command, package])
    if (VENV / BASE).is_file():
        shutil.copyfile(PROJECT / BASE, VENV / BASE)


def uv_install(uv: str) -> list[str]:
    """Return the command that installs into `.venv` with uv.

    uv refuses hashes together with the constraints in our pyproject.toml, which are for `lock`. With another
    `--project` it does not read that file, but still the user's settings, such as a package index.
    """
    return [uv, "pip", "install", "--project", PROJECT.anchor, "--compile-bytecode", "--python", str(PYTHON)]


def install_if_possible(lock: str) -> None:
    """Install a lock if there are wheels for this platform. To compile the model's packages takes many minutes."""
    try:
        install(lock, "--only-binary", ":all:")
    except InstallError as error:
        skip_model(str(error))


def skip_model(reason: str) -> None:
    echo(f"{reason} Continuing without a local model. To use another, set LLM_BASE_URL, LLM_API_KEY and LLM_MODEL.")
