"""Finds or makes the environment that the commands run in, with the standard library alone.

The environment that oppman.py is started in is used as it is if it has the dependencies. Otherwise they go into
`.venv`, and oppman.py starts again there. `.venv` keeps a copy of each lock it has: equal files, nothing to do.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Never

from opportune.cli.environment import wheels
from opportune.cli.environment.installation import UNFINISHED, InstallError, echo, run
from opportune.cli.environment.preflight import check_machine
from opportune.cli.process import exec_process
from opportune.cli.registry import COMPLETING, MODULES, PROGRAM, command_files
from opportune.cli.usage import unknown_command, wrong_usage
from opportune.config.project import PROJECT, env_file_value

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

SHIM = PROJECT / "oppman.py"
VENV = PROJECT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
TESTS = PROJECT / "tests"
FRAMEWORK_TESTS = TESTS / "opportune"
ONLY_PROJECT = "--project"
"""`oppman.py test --project`: what lies outside the framework's tests."""
BASE, MODEL, AWS, GCP, AZURE, BACKUP, TELEMETRY, DEV, FRAMEWORK = (
    f"requirements{name}.lock"
    for name in ("", "-model", "-aws", "-gcp", "-azure", "-backup", "-telemetry", "-dev", "-framework")
)
COMMON_OPTIONS = ("-q", "--quiet", "-v", "--verbose")
DEVELOPING = (["lock"], ["inspectdb"], ["deploy", "rehearse"])
"""Commands that need what is for development alone."""
LOCKS_OF_SECRETS = {"aws": AWS, "gcp": GCP, "azure": AZURE}
SETTINGS_BY_LOCK = {
    BACKUP: ("BACKUP_RECIPIENT", "BACKUP_IDENTITY"),
    TELEMETRY: ("OTEL_EXPORTER_OTLP_ENDPOINT", "SENTRY_DSN"),
}
"""Locks that a command needs if one of these settings has a value."""
MARKER_PACKAGES = ("alembic", "nh3", "pwdlib", "sqladmin", "typer")
"""Nobody has all of these by chance: where they are, somebody installed the dependencies."""
PREPARED = "OPPMAN_PREPARED"
"""Tells the restarted oppman.py not to try again what has just failed."""


def enter(arguments: list[str]) -> None:
    """Return in an environment that has what the command needs, restart in `.venv`, or exit with one line."""
    inside = Path(sys.prefix).resolve() == VENV
    ours = inside and (VENV / BASE).exists()
    if os.environ.pop(PREPARED, "") or (not ours and all(map(importlib.util.find_spec, MARKER_PACKAGES))):
        return
    if COMPLETING in os.environ and not (VENV / BASE).exists():
        sys.exit(1)  # Tab installs nothing
    if sys.prefix != sys.base_prefix and not inside and not (VENV / BASE).exists():
        echo(f"The active environment ({sys.prefix}) lacks the dependencies. They are installed into {VENV} instead.")
    refuse_unknown_command(arguments)
    try:
        installed = prepare(arguments)
    except OSError as error:
        sys.exit(f"Cannot install into {VENV}: {error.strerror or error}. Is it yours to write in, with space left?")
    except InstallError as error:
        sys.exit(str(error))
    if installed or not inside:
        restart(arguments)


def refuse_unknown_command(arguments: list[str]) -> None:
    """Exit before anything is installed for a mistyped command."""
    words = [word for word in arguments if word not in COMMON_OPTIONS]
    name = next(iter(words[1:] if words[:1] == ["help"] else words), "-")
    if not name.startswith("-") and (message := unknown_command(name, [*MODULES, *command_files()])):
        print(wrong_usage(PROGRAM, message), file=sys.stderr)
        sys.exit(2)


def restart(arguments: list[str]) -> Never:
    """Run the same command with the Python of `.venv`."""
    isolated = ["-I"] if sys.flags.isolated else []
    exec_process([str(PYTHON), *isolated, str(SHIM), *arguments], {**os.environ, PREPARED: "1"})


def prepare(arguments: list[str]) -> bool:
    """Install what the command needs and .venv has not. True if there was anything."""
    words = [word for word in arguments if not word.startswith("-")]
    command = words[0] if words else ""
    is_developing = any(words[: len(each)] == each for each in DEVELOPING)
    locks = [BASE, *locks_of_tests(arguments)] if command == "test" else [BASE, DEV] if is_developing else [BASE]
    locks += secrets_locks()
    locks += [lock for lock, names in SETTINGS_BY_LOCK.items() if any(map(setting, names))]
    model = [MODEL] if wants_model(command, arguments) else []
    if is_there(locks + model):
        return False
    try:
        with nobody_else_installing():
            if not is_there(locks + model):
                tell_missing_wheels(list(filter(changed, locks)))
                if not is_usable():
                    check_machine(PROJECT, locks + model)
                make_environment()
            for lock in filter(changed, locks):
                install(lock)
            for lock in filter(changed, model):
                install_if_possible(lock)
    except OSError as error:
        if not is_there(locks):
            raise
        go_without_model(f"Cannot install into {VENV}: {error.strerror or error}.")
        return False
    return True


def locks_of_tests(arguments: list[str]) -> list[str]:
    """Return the locks that these pytest arguments need: the framework's own tests need more than the project's."""
    return [DEV] if project_tests(arguments) or not FRAMEWORK_TESTS.is_dir() else [DEV, FRAMEWORK]


def project_tests(arguments: list[str]) -> list[Path]:
    """The tests of the project that are asked for, if no other are: by `--project`, or by their names."""
    if ONLY_PROJECT in arguments or (not FRAMEWORK_TESTS.is_dir() and not any(map(is_path, arguments))):
        return [path for path in TESTS.iterdir() if path != FRAMEWORK_TESTS]
    paths = [(PROJECT / word.partition("::")[0]).resolve() for word in arguments if is_path(word)]
    return paths if all(TESTS in path.parents and not path.is_relative_to(FRAMEWORK_TESTS) for path in paths) else []


def is_path(word: str) -> bool:
    return not word.startswith("-") and (PROJECT / word.partition("::")[0]).exists()


def wants_model(command: str, arguments: list[str]) -> bool:
    if command != "test":
        return command == "quickstart" and "--no-model" not in arguments
    files = [file for path in project_tests(arguments) for file in (path, *path.rglob("*.py")) if file.is_file()]
    return not files or any(b"pytest.mark.model" in file.read_bytes() for file in files)


def secrets_locks() -> list[str]:
    """Return the lock that `SECRETS_FROM` in the environment or .env needs."""
    scheme, _, names = setting("SECRETS_FROM").partition(":")
    is_complete = all(name.strip() for name in names.split(","))
    return [LOCKS_OF_SECRETS[scheme]] if is_complete and scheme in LOCKS_OF_SECRETS else []


def setting(name: str) -> str:
    """As the environment or .env says, before anything that reads settings is installed."""
    value = os.environ.get(name)
    return env_file_value(name) if value is None else value


def is_there(locks: list[str]) -> bool:
    return PYTHON.exists() and not any(map(changed, locks))


def changed(lock: str) -> bool:
    try:
        return (VENV / lock).read_bytes() != (PROJECT / lock).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return True


@contextmanager
def nobody_else_installing() -> Iterator[None]:
    """Hold a lock on oppman.py itself. The system lets go of it however we end, so nothing is left behind."""
    with SHIM.open("r+b") as held:
        if sys.platform == "win32":
            held.seek(1 << 30)  # beyond the end: what is locked cannot be read
            msvcrt.locking(held.fileno(), msvcrt.LK_LOCK, 1)
        else:
            os.set_inheritable(held.fileno(), True)  # an installer that outlives us keeps the lock
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                echo("Waiting for another oppman.py, which is installing ...")
                fcntl.flock(held, fcntl.LOCK_EX)
        yield


def make_environment() -> None:
    """Make or repair .venv; anew if an installation was interrupted or its Python does not run."""
    uv = shutil.which("uv")
    if not uv and not importlib.util.find_spec("ensurepip"):
        raise InstallError("Python's venv is missing: install it (Debian: apt install python3-venv), or install uv.")
    if not is_usable():
        shutil.rmtree(VENV, ignore_errors=True)
    VENV.mkdir(exist_ok=True)
    python = getattr(sys, "_base_executable", sys.executable)  # .venv's own may just have been removed
    command = [uv, "venv", "--allow-existing", "--python", python] if uv else [python, "-m", "venv"]
    run(VENV, "Preparing", ".venv", [*command, str(VENV)])


def is_usable() -> bool:
    """Tell if `.venv` has a Python that runs, and its installation was not interrupted."""
    return runs(PYTHON) and not (VENV / UNFINISHED).exists()


def runs(python: Path) -> bool:
    test = "import sys; sys.exit(sys.version_info < (3, 11))"
    try:
        return subprocess.call([python, "-c", test], stderr=subprocess.DEVNULL) == 0
    except OSError:
        return False


def install(lock: str) -> None:
    uv = shutil.which("uv")
    command = uv_install(uv) if uv else [str(PYTHON), "-m", "pip", "install", "--no-user"]  # PIP_USER asks for another
    (VENV / lock).unlink(missing_ok=True)
    run(VENV, "Installing", lock, [*command, "--no-deps", "--require-hashes", "-r", str(PROJECT / lock)])
    shutil.copyfile(PROJECT / lock, VENV / lock)


def uv_install(uv: str) -> list[str]:
    """Install into `.venv` with uv, which compiles only on request.

    Constraints in the `[tool.uv]` of our pyproject.toml are for `lock`: uv would refuse them beside hashes. It looks
    for that file from `--project` upwards, and still reads the user's own settings, such as a company's index.
    """
    elsewhere = ["--project", PROJECT.anchor]
    return [uv, "pip", "install", *elsewhere, "--compile-bytecode", "--python", str(PYTHON)]


def tell_missing_wheels(locks: list[str]) -> None:
    """Say what takes long on this kind of machine, or will fail, before it does."""
    kind = wheels.kind_of_machine()
    if names := [name for lock in locks for name in wheels.missing(PROJECT / lock, kind)]:
        echo(wheels.explain(names, kind))


def install_if_possible(lock: str) -> None:
    if names := wheels.missing(PROJECT / lock, kind := wheels.kind_of_machine()):
        go_without_model(f"{kind}: nobody has built {', '.join(names)} for them.")
        return
    try:
        install(lock)
    except InstallError as error:
        go_without_model(str(error))


def go_without_model(reason: str) -> None:
    echo(f"{reason} Going on without a local model; for another set LLM_BASE_URL, LLM_API_KEY and LLM_MODEL.")
