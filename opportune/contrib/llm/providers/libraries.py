"""System libraries that the local model needs, and advice if one is missing."""

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
"""Debian and Ubuntu packages by library."""
MISSING_LIBRARY = re.compile(r"([\w+.-]+\.so[.\d]*): cannot open shared object file")
ALTERNATIVE = "or set LLM_BASE_URL, LLM_API_KEY and LLM_MODEL for another model"


def missing_library() -> str:
    """Return a line about a missing library and how to install it; empty if all are installed."""
    if sys.platform != "linux":
        return ""
    for name in DEBIAN_PACKAGES:
        is_bundled = name == OPENMP and bundled_openmp()
        if not is_installed(name) and not is_bundled:
            return advice(name)
    return ""


def explain_exit(output: str) -> str:
    """Explain from its last output why the model's process ended, and what to do."""
    if match := MISSING_LIBRARY.search(output):
        return advice(match[1])
    reason = output.strip().rpartition("\n")[2] or "its process ended"
    return f"The local model cannot run here ({reason}). Check the log, {ALTERNATIVE}."


def advice(library: str) -> str:
    package = DEBIAN_PACKAGES.get(library, library)
    return f"The local model needs {library}, which is missing. Run apt install {package}, {ALTERNATIVE}."


def is_installed(library: str) -> bool:
    import ctypes  # rarely needed, and never at the start

    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def bundled_openmp() -> Path | None:
    """Return the OpenMP library in pykdtree's wheel, or None."""
    spec = find_spec("pykdtree")
    if spec is None or spec.origin is None:
        return None
    return next(Path(spec.origin).parent.with_name("pykdtree.libs").glob("libgomp-*.so*"), None)


@contextmanager
def environment() -> Iterator[dict[str, str]]:
    """Environment variables for the model's process. If the system has no OpenMP, they point to the bundled one."""
    file = None if is_installed(OPENMP) else bundled_openmp()
    if file is None:
        yield dict(os.environ)
        return
    with TemporaryDirectory(prefix="opportune-libgomp-") as folder:
        Path(folder, OPENMP).symlink_to(file)
        path = os.pathsep.join(filter(None, [folder, os.environ.get("LD_LIBRARY_PATH")]))
        yield {**os.environ, "LD_LIBRARY_PATH": path}
