"""Python itself as a source: what its modules, classes and functions say about themselves."""

import json
import os
import pkgutil
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from threading import Timer
from typing import IO, Any, cast

from app.pydocs.documents import Piece
from app.pydocs.sources.docstrings import first_line, to_html
from opportune.search import MAX_TEXT_LENGTH, Batch

INSPECTING = Path(__file__).with_name("inspecting.py")
MODULE_TIMEOUT_SECONDS: float = 20
"""For a module to be imported and described."""
LANGUAGE = "the language"
"""The batch that is no module."""

# They open a browser or a window, print poems, or are no library.
LEFT_OUT = {"antigravity", "this", "idlelib", "turtledemo", "lib2to3", "ensurepip", "pydoc_data", "test", "tests"}
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
            yield left.popleft(), language()
        while left:
            with inspector() as process:
                while left and process.poll() is None:
                    batch = left.popleft()
                    described = ask(process, batch.name)
                    yield batch, pieces(described) if isinstance(described, list) else described


def language() -> list[Piece] | str:
    try:
        from app.pydocs.sources.language import language_pieces  # noqa: PLC0415 - not every Python has it
    except ImportError:
        return "this Python comes without it"
    return list(language_pieces())


def is_public(name: str) -> bool:
    return name not in LEFT_OUT and (not name.startswith("_") or name in ("__future__", "_thread", *ALIASES))


def submodules(package: str) -> Iterator[str]:
    """The public modules in a package, found without importing them."""
    with suppress(ImportError, ValueError):
        spec = find_spec(package) if "." not in package else None
        yield from _below(package, list(spec.submodule_search_locations or ()) if spec else [])


def _below(package: str, folders: list[str]) -> Iterator[str]:
    for _, name, is_package in pkgutil.iter_modules(folders):
        if not name.startswith("_") and name not in LEFT_OUT:
            yield f"{package}.{name}"
            if is_package:
                yield from _below(f"{package}.{name}", [str(Path(folder) / name) for folder in folders])


@contextmanager
def inspector() -> Iterator["subprocess.Popen[bytes]"]:
    """A process that describes modules; it is killed at the end."""
    command = [sys.executable, "-I", "-W", "ignore", "-X", "utf8", str(INSPECTING)]
    with tempfile.TemporaryDirectory(prefix="opportune-pydocs-") as folder:
        # Without our settings: what is imported has no business with them.
        environ = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT", "LD_LIBRARY_PATH") if name in os.environ}
        environ["HOME"], pipe = folder, subprocess.PIPE
        with subprocess.Popen(  # noqa: S603 - our own program
            command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, cwd=folder, env=environ
        ) as process:
            try:
                yield process
            finally:
                process.kill()


def ask(process: "subprocess.Popen[bytes]", name: str) -> list[dict[str, str]] | str:
    """What the process says of a module, or why it says nothing; then it has ended."""
    questions, answers = cast("IO[bytes]", process.stdin), cast("IO[bytes]", process.stdout)
    limit, started = Timer(MODULE_TIMEOUT_SECONDS, process.kill), time.monotonic()
    limit.daemon = True
    limit.start()
    with suppress(BrokenPipeError):
        questions.write(f"{name}\n".encode())
        questions.flush()
    line = answers.readline()
    limit.cancel()
    if line.endswith(b"\n"):
        return cast("list[dict[str, str]] | str", json.loads(line))
    process.wait()
    is_late = time.monotonic() - started >= MODULE_TIMEOUT_SECONDS
    return f"it takes more than {MODULE_TIMEOUT_SECONDS} seconds" if is_late else "it ends the process that imports it"


def pieces(described: list[dict[str, Any]]) -> list[Piece]:
    """The first that is described is the module."""
    return [_piece(found, described[0]["name"]) for found in described]


def _piece(found: dict[str, Any], module: str) -> Piece:
    name, kind, doc = found["name"], found["kind"], found["doc"]
    piece = Piece(name, name, kind, "" if kind == "module" else module, found["signature"], to_html(doc))
    piece.title, piece.text = first_line(doc, name), " ".join(doc.split())[:MAX_TEXT_LENGTH]
    piece.parent = found["parent"] or name.rpartition(".")[0]
    return piece
