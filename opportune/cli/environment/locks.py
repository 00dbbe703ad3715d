"""Locks of a project, those that a command needs, and the wheel that they pin. Uses only the standard library."""

import os
import re
from hashlib import sha256
from itertools import pairwise
from pathlib import Path

from opportune.cli.environment.installation import InstallError
from opportune.project.layout import PACKAGE, PROJECT, read_setting
from opportune.project.optional_features import source_of

TESTS = PROJECT / "tests"
FRAMEWORK_TESTS = TESTS / "opportune"
ONLY_PROJECT = "--project"
"""Option of `oppman.py test` that runs only the project's tests."""
BASE = "requirements.lock"
FRAMEWORK_PIN = re.compile(r"^opportune==(\S+) \\\n +--hash=sha256:(\w+)(?: \\\n +--hash=\S+)*\n", re.MULTILINE)
"""Entry of the framework in the base lock, with its version and its first hash."""
MODEL = "requirements/model.lock"
DEV = "requirements/dev.lock"
FRAMEWORK = "requirements/framework.lock"
BUILD = "requirements/build.lock"
DEVELOPMENT_COMMANDS = (["lock"], ["upgrade"], ["addapp"], ["inspectdb"], ["deploy", "rehearse"])
"""Commands that need the development dependencies from the beginning."""
SECRET_STORES = ("aws", "azure", "gcp")
"""Schemes of `SECRETS_FROM`, each with a lock."""
SETTINGS_BY_LOCK = {
    "backup": ("BACKUP_RECIPIENT", "BACKUP_IDENTITY"),
    "telemetry": ("OTEL_EXPORTER_OTLP_ENDPOINT", "SENTRY_DSN"),
    "llm-vendors": ("LLM_DIALECT",),
}
"""Optional locks of features that a site lists, which a command needs if one of these settings has another value."""
FLAGS = re.compile(r"-[lnqsvx]+|(?!-).*", re.DOTALL)
"""Words of a command after which another word is a path, not the value of a pytest option."""
VALUES_WITHOUT_LOCK = {"", "openai"}
OPTIONAL_LOCKS = {name: f"requirements/{name}.lock" for name in (*SECRET_STORES, *SETTINGS_BY_LOCK, "office", "ag-ui")}
"""Locks that a project gets when it needs them, by name."""
LOCKS_BY_NAME = {**OPTIONAL_LOCKS, "dev": DEV}
"""Locks that the command `install` installs."""


def required_locks(arguments: list[str]) -> list[str]:
    """Return the locks that a command needs, without the model's."""
    words = _words(arguments)
    locks = [BASE, *_secrets_locks()]
    if words[:1] == ["test"]:
        locks += locks_of_tests(arguments[arguments.index("test") + 1 :])
    elif any(words[: len(command)] == command for command in DEVELOPMENT_COMMANDS):
        locks.append(DEV)
    # Importing the list of features would need the packages.
    listed = {*re.findall(r"\w+", source_of(f"{PACKAGE}.installed").decode(errors="replace"))}
    are_set = (lock for lock, names in SETTINGS_BY_LOCK.items() if {*map(read_setting, names)} - VALUES_WITHOUT_LOCK)
    return locks + [OPTIONAL_LOCKS[lock] for lock in are_set if lock.replace("-", "_") in listed]


def _words(arguments: list[str]) -> list[str]:
    return [word for word in arguments if not word.startswith("-")]


def locks_of_tests(arguments: list[str]) -> list[str]:
    """Return the locks for these pytest arguments. The framework's tests need more packages.

    Raises:
        InstallError: A file or folder does not exist. pytest would report it only after the installation.
    """
    for before, word in pairwise(["", *arguments]):
        name = word.partition("::")[0]
        is_path = re.match(r"(?!-)[^/]*(/|\.py$)", name) and FLAGS.fullmatch(before)
        if is_path and not os.path.lexists(PROJECT / name):
            raise InstallError(f"{PROJECT} has no {name}. Name a file or folder with tests.")
    return [DEV] if _project_tests(arguments) or not FRAMEWORK_TESTS.is_dir() else [DEV, FRAMEWORK]


def _project_tests(arguments: list[str]) -> list[Path]:
    """Return the selected tests if only tests of the project are selected; otherwise an empty list."""
    words = (PROJECT / word.partition("::")[0] for word in _words(arguments))
    paths = [path.resolve() for path in filter(os.path.exists, words)]  # an expression may be too long for a path
    if ONLY_PROJECT in arguments or not (paths or FRAMEWORK_TESTS.is_dir()):
        return [path for path in TESTS.glob("*") if path != FRAMEWORK_TESTS]
    belong_to_project = (TESTS in path.parents and not path.is_relative_to(FRAMEWORK_TESTS) for path in paths)
    return paths if all(belong_to_project) else []


def needs_model(arguments: list[str]) -> bool:
    """Return whether the command uses the local model, whose packages are not for all platforms."""
    command = next(iter(_words(arguments)), "")
    if command == "quickstart":
        return "--no-model" not in arguments
    return command == "test" and _tests_use_model(arguments)


def _tests_use_model(arguments: list[str]) -> bool:
    """Return whether selected tests use the model, as some of the framework's do."""
    paths = _project_tests(arguments)
    files = [file for path in paths for file in (path, *path.rglob("*.py")) if file.is_file()]
    return not files or any(b"pytest.mark.model" in file.read_bytes() for file in files)


def _secrets_locks() -> list[str]:
    """Return the lock that `SECRETS_FROM` in the environment or .env needs."""
    scheme, _, names = read_setting("SECRETS_FROM").partition(":")
    is_complete = all(name.strip() for name in names.split(","))
    return [OPTIONAL_LOCKS[scheme]] if is_complete and scheme in SECRET_STORES else []


def pins(lock: str) -> dict[str, str]:
    """Return the versions of a lock by package."""
    return dict(re.findall(r"^([\w.-]+)==(\S+)", lock, re.MULTILINE))


def require_framework_wheel(project: Path) -> None:
    """Check that `vendor/` has the wheel of the framework that the lock pins."""
    pin = FRAMEWORK_PIN.search((project / BASE).read_text(encoding="utf-8"))
    if not pin or not [*project.glob("vendor/opportune-*.whl")]:  # a clone, or a release of the package index
        return
    wheel = project / f"vendor/opportune-{pin[1]}-py3-none-any.whl"
    problem = ""
    if not wheel.is_file():
        problem = "is missing"
    elif sha256(wheel.read_bytes()).hexdigest() != pin[2]:
        problem = "is damaged, or belongs to another project: requirements.lock pins another hash"
    if problem:
        advice = "Restore both: git checkout HEAD -- vendor requirements.lock"
        raise InstallError(f"vendor/{wheel.name} {problem}. {advice}")
