"""System libraries that the local model's wheel needs, and what to do where one is missing."""

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

OPENMP = "libgomp.so.1"
DEBIAN_PACKAGES = {OPENMP: "libgomp1", "libstdc++.so.6": "libstdc++6"}
"""The packages of Debian and Ubuntu that have them."""
MISSING_LIBRARY = re.compile(r"([\w+.-]+\.so[.\d]*): cannot open shared object file")
ALTERNATIVE = "or set LLM_BASE_URL, LLM_API_KEY and LLM_MODEL for another model"


def missing_library() -> str:
    """A line about the library that is missing here, and how to get it. Empty if none is."""
    if sys.platform != "linux":
        return ""
    missing = (name for name in DEBIAN_PACKAGES if not (is_installed(name) or (name == OPENMP and bundled_openmp())))
    return next(map(advice, missing), "")


def explain_exit(said: str) -> str:
    """A line about why the model's process ended, from its last words, and what to do."""
    if found := MISSING_LIBRARY.search(said):
        return advice(found[1])
    words = said.strip().rpartition("\n")[2] or "its process ended"
    return f"The local model cannot run here ({words}): look at the log, {ALTERNATIVE}."


def advice(library: str) -> str:
    package = DEBIAN_PACKAGES.get(library, library)
    return f"The local model needs {library}, which this system lacks: apt install {package}, {ALTERNATIVE}."


def is_installed(library: str) -> bool:
    import ctypes  # noqa: PLC0415 - the site needs it once, and not at its start

    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def bundled_openmp() -> Path | None:
    """The OpenMP library that pykdtree's wheel brings, or None."""
    spec = find_spec("pykdtree")
    if spec is None or spec.origin is None:
        return None
    return next(Path(spec.origin).parent.with_name("pykdtree.libs").glob("libgomp-*.so*"), None)


@contextmanager
def environment() -> Iterator[dict[str, str]]:
    """The environment for the model's process to start in. If the system has no OpenMP, it finds that of the wheel."""
    file = None if is_installed(OPENMP) else bundled_openmp()
    if file is None:
        yield dict(os.environ)
        return
    with TemporaryDirectory(prefix="opportune-libgomp-") as folder:
        Path(folder, OPENMP).symlink_to(file)
        path = os.pathsep.join(filter(None, [folder, os.environ.get("LD_LIBRARY_PATH")]))
        yield {**os.environ, "LD_LIBRARY_PATH": path}
