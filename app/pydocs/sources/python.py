"""Python itself as a source: what its modules, classes and functions say about themselves."""

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

from app.pydocs.documents import Piece
from app.pydocs.sources.docstrings import piece_of
from app.pydocs.sources.language import language_pieces
from opportune.search import Batch

STDLIB = Path(sysconfig.get_path("stdlib"))
INSPECTING = Path(__file__).with_name("inspecting.py")
MODULE_TIMEOUT_SECONDS: float = 20
"""For a module to be imported and described."""
LANGUAGE = "the language"
"""The batch that is no module."""

LEFT_OUT = {"antigravity", "this", "idlelib", "turtledemo"}  # they open a browser or a window, or print poems
LEFT_OUT |= {"distutils", "lib2to3", "ensurepip", "pydoc_data", "test", "tests"}  # and these are no library
# What people call by another name than its own.
ALIASES = {"posixpath": "os.path", "ntpath": ""} if os.name == "posix" else {"ntpath": "os.path", "posixpath": ""}
ALIASES["_collections_abc"] = "collections.abc"  # which has no file of its own from Python 3.14 on


class PythonSource:
    """The Python that runs this."""

    title = "Python " + ".".join(map(str, sys.version_info[:3]))

    def batches(self) -> list[Batch]:
        names = (ALIASES.get(name, name) for name in sorted(sys.stdlib_module_names) if is_public(name))
        found = {name for top in names if top for name in (top, *submodules(top))}
        # Packages come before their modules: what both show is the package's.
        modules = sorted(found, key=lambda name: (name.count("."), name))
        return [Batch(name, sys.version) for name in (LANGUAGE, *modules)]

    def read(self, batches: Iterable[Batch]) -> Generator[tuple[Batch, list[Piece] | str], None, None]:
        left = deque(batches)
        if left and left[0].name == LANGUAGE:
            yield left.popleft(), list(language_pieces()) or "this Python comes without it"
        while left:
            yield from described(left)


def is_public(name: str) -> bool:
    return name not in LEFT_OUT and (not name.startswith("_") or name in ("__future__", "_thread", *ALIASES))


def submodules(package: str) -> Iterator[str]:
    """The public modules in a package, found without importing them."""
    for path in (STDLIB / package).rglob("*.py"):
        names = path.relative_to(STDLIB).as_posix().removesuffix(".py").removesuffix("/__init__").split("/")
        if not any(name.startswith("_") or name in LEFT_OUT for name in names[1:]):
            yield ".".join(names)


def described(left: deque[Batch]) -> Generator[tuple[Batch, list[Piece] | str], None, None]:
    """What a process says of them, up to one that ends it. It is killed when nobody listens any more."""
    command = [sys.executable, "-I", "-W", "ignore", "-X", "utf8", str(INSPECTING), str(MODULE_TIMEOUT_SECONDS)]
    command += [batch.name for batch in left]
    with TemporaryDirectory(prefix="opportune-pydocs-") as folder:
        # Without our settings: what is imported has no business with them.
        environ = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT", "LD_LIBRARY_PATH") if name in os.environ}
        environ["HOME"] = folder
        with Popen(command, stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL, cwd=folder, env=environ) as process:
            try:
                for line in process.stdout or ():
                    if line.endswith(b"\n"):
                        yield left.popleft(), pieces(json.loads(line))
            finally:
                process.kill()
    if left:
        yield left.popleft(), f"it ends its process, or takes more than {MODULE_TIMEOUT_SECONDS} seconds"


def pieces(found: list[dict[str, Any]] | str) -> list[Piece] | str:
    """The first is the module. In the place of objects there may be the reason why there are none."""
    if isinstance(found, str):
        return found
    for each in found[1:]:
        each["module"] = found[0]["name"]
    return [piece_of(slug=each["name"], **each) for each in found]
