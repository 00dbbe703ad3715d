"""Tabler's icons as one small style sheet: each is a mask that the colour of the text shines through.

An icon gets into the sheet by its class, `ti-` and Tabler's name, being written out in a template, a script or the
project's Python code. A name that stands nowhere, such as one from a row of a table, is told with `add`, as those that
a feature declares are: of its admin views, its navigation and its kinds of events, wherever they are written.
"""

import logging
import os
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from opportune.config.project import FRAMEWORK, PACKAGE, PROJECT
from opportune.errors import OperatorError

logger = logging.getLogger(__name__)

SOURCE_FOLDERS = (
    *(PROJECT / name for name in ("templates", "static", PACKAGE)),
    # What the rest of it names is told.
    *(FRAMEWORK / name for name in ("templates", "static", "admin", "accounts/events")),
)
SOURCE_FILES = [
    path
    for group in ("contrib", "llm", "ops")
    for pattern in ("*/admin.py", "*/admin/*.py")
    for path in sorted((FRAMEWORK / group).glob(pattern))
]
"""Admin views of parts. They are imported with the admin, but the sheet has to contain their icons before that."""
SOURCE_SUFFIXES = (".html", ".js", ".py")
# What must not stand before it is asked afterwards: what begins with plain letters is found much faster.
NAMED = re.compile(rb"ti-(?<![\w-]ti-)([a-z0-9]+(?:-[a-z0-9]+)*)(?![\w-])")
PUT_TOGETHER = re.compile(rb"(?<![\w-])ti-(?:[a-z0-9-]*-)?(?:\{|[\"']\s*[~+%])")
TOLD = b"ti-{{ link.icon }}"
"""What is put together of names that `add` was told, those of the navigation."""
ELEMENT = re.compile(r"<(?!svg|/)[^>]*>")
FILLED = "-filled"
BASE = """\
.ti { display: inline-block; line-height: 1; vertical-align: -0.09em; }
.ti::before {
  content: ""; display: block; width: 1em; height: 1em; background: currentcolor;
  -webkit-mask: var(--ti, linear-gradient(transparent, transparent)) center / 100% no-repeat;
  mask: var(--ti, linear-gradient(transparent, transparent)) center / 100% no-repeat;
}
@media (forced-colors: active) {
  .ti::before { background: CanvasText; }
  a .ti::before { background: LinkText; }
  button .ti::before { background: ButtonText; }
}
"""
SHAPE = """\
.{css} {{ --ti: url("data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 24 24' {paint}>{paths}</svg>"); }}
"""  # noqa: E501
OUTLINED = "fill='none' stroke='black' stroke-width='2' stroke-linecap='round' stroke-linejoin='round'"

_added: set[str] = set()


def add(*names: str) -> None:
    """Have icons in the sheet that are nowhere written out: by name, `icons.add("mood-happy")`, or by class."""
    for name in filter(None, names):
        _added.update(_names_in(name.encode()) or {name})


def sheet() -> bytes:
    """The style sheet of the icons that are used. What Tabler does not have is left out: `faults` tells of it."""
    return _sheet(used())


def used() -> frozenset[str]:
    """The names of all icons that are written somewhere or were told."""
    return frozenset(_added).union(*(_names(path, modified) for path, modified in _sources()))


def faults() -> Iterator[str]:
    """A line for each icon that nobody would see."""
    for path, modified in _sources():
        shown = os.path.relpath(path, PROJECT)
        yield from (f"{shown}: {fault}" for fault in _unknown(_names(path, modified)))
        if PUT_TOGETHER.search(Path(path).read_bytes().replace(TOLD, b"")):
            yield f"{shown}: the class of an icon is put together, so that it is not found. Write each one out."
    yield from _unknown(_added)


def _unknown(names: Iterable[str]) -> Iterator[str]:
    for name in sorted(names):
        if _paths(name) is None:
            yield f"Tabler has no icon named {name}: see https://tabler.io/icons for those that it has."


def _sources() -> Iterator[tuple[str, int]]:
    """The files that name icons, and when they were changed."""
    yield from ((str(path), path.stat().st_mtime_ns) for path in SOURCE_FILES)
    for place in SOURCE_FOLDERS:
        if place.is_dir():
            yield from _files(str(place))


def _files(folder: str) -> Iterator[tuple[str, int]]:
    # Not Path.rglob, which takes ten times as long: this is done each second in which somebody comes.
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                if entry.name != "__pycache__":
                    yield from _files(entry.path)
            elif entry.name.endswith(SOURCE_SUFFIXES):
                yield entry.path, entry.stat().st_mtime_ns


@lru_cache(maxsize=4096)
def _names(path: str, _modified: int) -> frozenset[str]:
    return _names_in(_read(path))


def _names_in(text: bytes) -> frozenset[str]:
    return frozenset(name.decode() for name in NAMED.findall(text))


@lru_cache(maxsize=4)
def _sheet(names: frozenset[str]) -> bytes:
    for fault in _unknown(names):
        logger.warning(fault)
    return "".join([BASE, *(_rule(name, paths) for name in sorted(names) if (paths := _paths(name)))]).encode()


def _rule(name: str, paths: str) -> str:
    paint = "" if name.endswith(FILLED) else OUTLINED
    return SHAPE.format(css="-".join(("ti", name)), paint=paint, paths=paths)


@lru_cache(maxsize=1024)
def _paths(name: str) -> str | None:
    """What is drawn, or None where there is no such icon."""
    kind = "filled" if name.endswith(FILLED) else "outline"
    try:
        text = _read(f"{drawings()}/{kind}/{name.removesuffix(FILLED)}.svg").decode()
    except FileNotFoundError:
        return None
    # The first one is the frame, which is not painted.
    return "".join(ELEMENT.findall(text)[1:]).replace('"', "'").replace(" />", "/>")


def _read(path: str) -> bytes:
    # Not Path.read_bytes, which takes twice as long: these are hundreds of files before the first page.
    file = os.open(path, os.O_RDONLY)
    try:
        return os.read(file, os.fstat(file).st_size)
    finally:
        os.close(file)


@lru_cache(maxsize=1)
def drawings() -> Path:
    """The folder of Tabler's drawings: `outline` and `filled`, an SVG file each."""
    wheel = find_spec("tablerpy")  # its files alone are wanted: nothing of it is imported
    if wheel is None or wheel.origin is None:
        raise OperatorError("The icons are missing: run pip install -r requirements.lock")
    return Path(wheel.origin).with_name("icons")
