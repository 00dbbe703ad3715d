"""Documentation of the running Python: docstrings of modules, classes and functions, and the language reference."""

import json
import os
import sys
import sysconfig
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen
from tempfile import TemporaryDirectory
from typing import Any

from app.pydocs.documents import Entry
from app.pydocs.sources.docstrings import create_entry
from app.pydocs.sources.language import create_language_entries

STDLIB = Path(sysconfig.get_path("stdlib"))
INSPECT_PROGRAM = Path(__file__).with_name("inspecting.py")
MODULE_TIMEOUT_SECONDS: float = 20
"""Timeout of the import and description of a module."""
LANGUAGE = "the language"
"""Batch of the language reference."""

EXCLUDED = {"antigravity", "this", "idlelib", "turtledemo"}  # they open a browser or a window, or print texts
EXCLUDED |= {"distutils", "lib2to3", "ensurepip", "pydoc_data", "test", "tests"}  # these are not libraries
# Modules with another public name, or none.
ALIASES = {"posixpath": "os.path", "ntpath": ""} if os.name == "posix" else {"ntpath": "os.path", "posixpath": ""}
ALIASES["_collections_abc"] = "collections.abc"  # which has no file since Python 3.14


class PythonSource:
    title = "Python " + ".".join(map(str, sys.version_info[:3]))

    def batches(self) -> list[str]:
        names = {ALIASES.get(name, name) for name in sys.stdlib_module_names if is_public(name)} - {""}
        names |= {submodule for name in names for submodule in submodules(name)}
        # Packages first, so that re-exported objects belong to the package.
        return [LANGUAGE, *sorted(names, key=lambda name: (name.count("."), name))]

    def read(self, batches: Iterable[str]) -> Generator[tuple[str, list[Entry] | str], None, None]:
        queue = deque(batches)
        if queue and queue[0] == LANGUAGE:
            yield queue.popleft(), list(create_language_entries()) or "this Python does not include it"
        while queue:
            yield from describe_modules(queue)


def is_public(name: str) -> bool:
    return name not in EXCLUDED and (not name.startswith("_") or name in ("__future__", "_thread", *ALIASES))


def submodules(package: str) -> Iterator[str]:
    """Yield the public modules of a package without importing them."""
    for path in (STDLIB / package).rglob("*.py"):
        names = path.relative_to(STDLIB).as_posix().removesuffix(".py").removesuffix("/__init__").split("/")
        if not any(name.startswith("_") or name in EXCLUDED for name in names[1:]):
            yield ".".join(names)


def describe_modules(queue: deque[str]) -> Generator[tuple[str, list[Entry] | str], None, None]:
    """Describe modules in a process until one of them ends it, and take them from the queue.

    Closing the generator kills the process.
    """
    command = [sys.executable, "-I", "-W", "ignore", "-X", "utf8", str(INSPECT_PROGRAM), str(MODULE_TIMEOUT_SECONDS)]
    command += queue
    with TemporaryDirectory(prefix="opportune-pydocs-") as folder:
        # Modules must not see the settings in the environment.
        environ = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT", "LD_LIBRARY_PATH") if name in os.environ}
        environ["HOME"] = folder
        with Popen(command, stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL, cwd=folder, env=environ) as process:
            try:
                for line in process.stdout or ():
                    if line.endswith(b"\n"):
                        yield queue.popleft(), create_entries(json.loads(line))
            finally:
                process.kill()
    if queue:
        yield queue.popleft(), f"its process exited, or took more than {MODULE_TIMEOUT_SECONDS} seconds"


def create_entries(result: list[dict[str, Any]] | str) -> list[Entry] | str:
    """Turn the objects of a module (the first is the module itself) into entries, or return the error."""
    if isinstance(result, str):
        return result
    for entry in result[1:]:
        entry["module"] = result[0]["name"]
    return [create_entry(slug=entry["name"], **entry) for entry in result]
