"""Typeface of all pages: Geist, cut into one file for Latin and one for extended Latin letters.

The package `fontpkg-geist` has one large TrueType file. A server that starts cuts it with fontTools, which takes a few
seconds, and stores the result in the environment. Until then, and if the environment is read-only, pages use the
system's typeface.
"""

import contextlib
import hashlib
import os
import subprocess
import sys
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

LATIN = "geist-latin.woff"
SUBSETS = {
    "geist-latin-ext.woff": "100-130,132-151,154-2BA,2BD-2C5,2C7-2D9,2DD-2FF,1E00-1E9F,1EF2-1EFF,20A0-20AB,20AD-20C0",
    LATIN: "0-FF,131,152-153,2BB-2BC,2C6,2DA,2DC,304,308,329,2000-206F,20AC,2122,2190-2193,2212,FFFD",
}
"""Code points of each file. `static/typeface.css` has the same ranges."""
FLAGS = ("--flavor=woff", "--layout-features=ccmp,kern,liga,locl,mark,mkmk,tnum", "--no-hinting", "--drop-tables+=meta")
WEIGHTS = "wght=400:900"
"""Weights that pages use. Lighter ones would make each file larger."""


@lru_cache
def font() -> Path:
    package = find_spec("fontpkg_geist")  # only this file is used
    assert package
    assert package.origin
    return Path(package.origin).with_name("files") / "Geist[wght].ttf"


@lru_cache
def folder() -> Path:
    """Return the folder of the cut files. Its name changes with the font and the flags."""
    flags = repr((SUBSETS, FLAGS, WEIGHTS)).encode()
    version = hashlib.blake2b(font().read_bytes() + flags, digest_size=6).hexdigest()
    return Path(sys.prefix) / "share" / "opportune" / f"typeface-{version}"


def is_ready() -> bool:
    """Return whether the files exist. The result is cached until `cut` runs, because each page needs it."""
    return _has_files(folder())


@lru_cache
def _has_files(directory: Path) -> bool:
    return all((directory / name).is_file() for name in SUBSETS)


def preloaded_file() -> str:
    """Return the static file that each page preloads, or an empty text while it does not exist."""
    return LATIN if is_ready() else ""


def cut() -> None:
    """Write the files unless they exist or cannot be written."""
    _has_files.cache_clear()
    if is_ready() or not os.access(sys.prefix, os.W_OK):
        return
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        folder().mkdir(parents=True, exist_ok=True)
        for name, code_points in SUBSETS.items():
            _cut_file(folder() / name, code_points)
    _has_files.cache_clear()


def _cut_file(target: Path, code_points: str) -> None:
    temporary = target.with_suffix(f".{os.getpid()}")
    _run("subset", str(font()), f"--unicodes={code_points}", f"--output-file={temporary}", *FLAGS)
    _run("varLib.instancer", str(temporary), WEIGHTS, f"--output={temporary}")
    temporary.replace(target)


def _run(module: str, *arguments: str) -> None:
    """Run fontTools in another process, because it occupies 20 MB."""
    command = [sys.executable, "-m", f"fontTools.{module}", *arguments]
    subprocess.run(command, capture_output=True, timeout=60, check=True)
