"""Update the lock files in requirements/.

uv resolves pyproject.toml. Locked versions do not change unless pyproject.toml requires it. New releases are taken
after a cooldown, in which malicious ones are usually found.
"""

import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from packaging.version import Version

from opportune.cli.environment.locks import BASE, BUILD, DEV, FRAMEWORK, FRAMEWORK_PIN, MODEL, OPTIONAL_LOCKS
from opportune.cli.output import progress, say
from opportune.cli.project.release import find_uv
from opportune.cli.project.shared_files import FIND_LINKS, VENDOR
from opportune.errors import OperatorError
from opportune.project import text_files
from opportune.project.layout import PROJECT
from opportune.project.pyproject import PYPROJECT, read_pyproject

DOCS = "requirements/docs.lock"
"""Packages for the static site of the documentation, which is built in a separate environment."""
CONSTRAINTS: dict[str, list[str]] = {FRAMEWORK: [BASE, DEV], DOCS: []}
"""Locks whose versions a lock takes over. The other locks take those of the first one."""
DEPENDENCY_METADATA = Path(__file__).with_name("dependency_metadata.toml")
"""Dependencies of the framework's packages that differ from their declarations."""
COOLDOWN_DAYS = 7
KEPT = "kept.txt"
"""File with the locked versions that are too young to be chosen again."""
OPTIONS = ("--universal", "--generate-hashes", "--no-annotate", "--no-header", "--color", "never")
NO_UPLOAD_TIME = re.compile(r"warning: `(.+?)` is missing an upload date")
UNREACHABLE = re.compile(r"(?:Failed to fetch|error sending request for url).*?://(?:[^/\s]*@)?([^/\s)]+)", re.DOTALL)
TOO_YOUNG = re.compile(
    r"([\w.-]+)[^\s\w]*\S* was (?:filtered by `exclude-newer`|published after the exclude newer time)"
)
CAUSE = re.compile(r"cause: Because (.+?), we can conclude")
ERROR = re.compile(r"error: (.+?)(?: cause:| hint:|$)")


def command(
    upgrade: Annotated[bool, typer.Option(help="Take the newest versions that pyproject.toml allows.")] = False,
    check: Annotated[bool, typer.Option(help="Write nothing; exit with 1 if a lock is out of date.")] = False,
    cooldown: Annotated[
        int, typer.Option(min=0, metavar="DAYS", help="Minimum age of new releases; 0 for a security fix.")
    ] = COOLDOWN_DAYS,
) -> None:
    uv = require_uv()
    with TemporaryDirectory() as folder:
        changed_locks = _create_locks(uv, Path(folder), upgrade=upgrade, cooldown=cooldown)
        if check and changed_locks:
            raise OperatorError(f"Out of date: {', '.join(changed_locks)}. Run: python3 oppman.py lock")
        for lock in changed_locks:
            text_files.write_text(PROJECT / lock, read_text(Path(folder) / lock))
    say("\n".join(f"Changed {lock}" for lock in changed_locks) or "The locks are up to date.")


def require_uv() -> str:
    """Return the path of uv."""
    if uv := find_uv():
        return uv
    raise OperatorError(f"uv is not installed. Install it with: python3 -m pip install --no-deps -r {DEV}")


def _create_locks(uv: str, folder: Path, *, upgrade: bool, cooldown: int) -> list[str]:
    """Create the locks in a temporary folder, so that the project's locks do not change if one fails.

    Return the names of the locks that differ from the project's.
    """
    groups = _groups_to_lock()
    (folder / DEV).parent.mkdir()
    text_files.write_text(folder / PYPROJECT, f"{read_text(PROJECT / PYPROJECT)}\n{read_text(DEPENDENCY_METADATA)}")
    pin = FRAMEWORK_PIN.search(read_text(PROJECT / BASE))
    command_line = [uv, "pip", "compile", "--project", str(folder)]
    if upgrade:
        command_line.append("--upgrade")
    with progress("Locking", 1 + len(groups), "locks") as bar:
        framework = [folder / "framework.txt"] if pin else []
        if pin:  # only `upgrade` changes the framework's version
            text_files.write_text(framework[0], f"opportune=={pin[1]}\n")
        wheels = ["--find-links", f"./{VENDOR}"] if pin and (PROJECT / VENDOR).is_dir() else []
        _resolve([*command_line, PYPROJECT, *wheels], folder, BASE, framework, cooldown)
        bar.advance()
        for lock, group in groups.items():
            constraints = [folder / other for other in CONSTRAINTS.get(lock, [BASE])]
            _resolve([*command_line, "--group", group], folder, lock, constraints, cooldown)
            bar.advance()
    if pin:
        # The locked hash, whatever the index has under this name and version.
        text = FRAMEWORK_PIN.sub(lambda _: pin[0], read_text(folder / BASE))
        text_files.write_text(folder / BASE, (FIND_LINKS if (PROJECT / VENDOR).is_dir() else "") + text)
    return [lock for lock in (BASE, *groups) if read_text(folder / lock) != read_text(PROJECT / lock)]


def _groups_to_lock() -> dict[str, str]:
    """Return the dependency groups of pyproject.toml by their lock. Optional locks are only updated."""
    existing_groups = read_pyproject(PROJECT).get("dependency-groups", ())
    optional = {lock: group for group, lock in OPTIONAL_LOCKS.items() if (PROJECT / lock).exists()}
    groups = {MODEL: "model", **optional, BUILD: "build", DEV: "dev", FRAMEWORK: "framework", DOCS: "docs"}
    return {lock: group for lock, group in groups.items() if group in existing_groups}


def _resolve(command_line: list[str], folder: Path, lock: str, constraints: Sequence[Path], cooldown: int) -> None:
    """Write a lock, which takes over the versions in the files `constraints`.

    A package that is locked to a release of the last days keeps it, such as a security fix.
    """
    locked = _pins(PROJECT / lock)
    kept: dict[str, Version] = {}
    settled = [name for file in constraints for name in _pins(file)]
    options = [word for file in (*constraints, folder / KEPT) for word in ("-c", str(file))]
    first_failure = ""
    while True:  # until uv refuses no other locked package for its age
        text_files.write_text(folder / KEPT, "".join(f"{name}<={version}\n" for name, version in kept.items()))
        limits = _age_limits(cooldown, (*kept, *settled))
        failure = _run_uv([*command_line, *options, *limits], folder, lock)
        first_failure = first_failure or failure
        too_young = _find_too_young(locked, _pins(folder / lock), failure)
        if too_young <= kept.keys():
            break
        kept |= {name: locked[name] for name in too_young}
    if failure:
        raise OperatorError(f"{lock} could not be created, and no lock was changed: {_explain(first_failure)}")


def _find_too_young(locked: Mapping[str, Version], resolved: Mapping[str, Version], message: str) -> set[str]:
    """Return the packages whose locked version uv refuses for its age: it chose an older one, or names it."""
    older = {name for name, version in locked.items() if resolved.get(name, version) < version}
    return older | (locked.keys() & set(TOO_YOUNG.findall(message)))


def _age_limits(cooldown: int, settled: Iterable[str]) -> list[str]:
    """Return the options that refuse young releases, except of packages whose version is settled."""
    if not cooldown:
        return []
    return [f"--exclude-newer={cooldown} days", *(f"--exclude-newer-package={name}=false" for name in settled)]


def _run_uv(command_line: list[str], folder: Path, lock: str) -> str:
    """Run uv, which begins with the project's lock. Return its message if it fails, else an empty text."""
    if (PROJECT / lock).exists():  # uv resolves the path of `--find-links` from the temporary folder
        text_files.write_text(folder / lock, read_text(PROJECT / lock).removeprefix(FIND_LINKS))
    command = [*command_line, *OPTIONS, "-o", str(folder / lock)]
    process = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    return process.stderr if process.returncode or NO_UPLOAD_TIME.search(process.stderr) else ""


def _explain(message: str) -> str:
    """Return the reason why uv failed and the next step, in one line without passwords."""
    if match := NO_UPLOAD_TIME.search(message):
        return f"the index does not say when {match[1]} was uploaded. Run: python3 oppman.py lock --cooldown 0"
    if match := UNREACHABLE.search(message):
        return f"{match[1]} cannot be reached. Check the network, the proxy, SSL_CERT_FILE and UV_DEFAULT_INDEX."
    if match := TOO_YOUNG.search(message):
        return f"{match[1]} needs a newer release than --cooldown allows. For a security fix, add --cooldown 0."
    line = " ".join(message.split())
    match = CAUSE.search(line) or ERROR.search(line)
    cause = match[1] if match else line
    return f"{cause[:300].rstrip('.')}."


def _pins(lock: Path) -> dict[str, Version]:
    """Return the packages of a lock with their newest version on any platform."""
    versions: dict[str, Version] = {}
    for name, version in re.findall(r"^([\w.-]+)(?:\[.*?\])?==([^\s;]+)", read_text(lock), re.MULTILINE):
        versions[name] = max(Version(version), versions.get(name, Version(version)))
    return versions


def read_text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""
