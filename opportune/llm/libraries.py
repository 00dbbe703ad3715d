"""The system's libraries that the local model's wheel needs, and what to do where one is missing."""

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

OPENMP = "libgomp.so.1"
PACKAGES = {OPENMP: "libgomp1", "libstdc++.so.6": "libstdc++6"}
"""The packages of Debian and Ubuntu that have them."""
ABSENT = re.compile(r"([\w+.-]+\.so[.\d]*): cannot open shared object file")
ANOTHER = "or set LLM_BASE_URL, LLM_API_KEY and LLM_MODEL for another model"


def lacking() -> str:
    """A line about the library that is missing here, and how to get it. Empty if none is."""
    if sys.platform != "linux":
        return ""
    missing = (name for name in PACKAGES if not (is_there(name) or (name == OPENMP and carried())))
    return next(map(advice, missing), "")


def reason(said: str) -> str:
    """A line about why the model's process ended, from its last words, and what to do."""
    if found := ABSENT.search(said):
        return advice(found[1])
    words = said.strip().rpartition("\n")[2] or "its process ended"
    return f"The local model cannot run here ({words}): look at the log, {ANOTHER}."


def advice(library: str) -> str:
    package = PACKAGES.get(library, library)
    return f"The local model needs {library}, which this system lacks: apt install {package}, {ANOTHER}."


def is_there(library: str) -> bool:
    import ctypes  # noqa: PLC0415 - the site needs it once, and not at its start

    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def carried() -> Path | None:
    """The OpenMP library in pykdtree's wheel."""
    spec = find_spec("pykdtree")
    if spec is None or spec.origin is None:
        return None
    return next(Path(spec.origin).parent.with_name("pykdtree.libs").glob("libgomp-*.so*"), None)


@contextmanager
def environment() -> Iterator[dict[str, str]]:
    """The environment for the model's process to start in. If the system has no OpenMP, it finds that of the wheel."""
    file = None if is_there(OPENMP) else carried()
    if file is None:
        yield dict(os.environ)
        return
    with TemporaryDirectory(prefix="opportune-libgomp-") as folder:
        Path(folder, OPENMP).symlink_to(file)
        path = os.pathsep.join(filter(None, [folder, os.environ.get("LD_LIBRARY_PATH")]))
        yield {**os.environ, "LD_LIBRARY_PATH": path}
