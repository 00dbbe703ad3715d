"""Tabler's icons as one small style sheet: each is a mask that the colour of the text shines through.

An icon gets into the sheet by its class, `ti-` and Tabler's name, being written out in a template, a script or Python
code. A name that stands nowhere, such as one from a row of a table, is told with `add`.
"""

import logging
import os
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from app.core.errors import OperatorError
from app.core.settings import PROJECT

logger = logging.getLogger(__name__)

PLACES = ("templates", "static", "app")
SOURCES = (".html", ".js", ".py")
NAMED = re.compile(rb"(?<![\w-])ti-([a-z0-9]+(?:-[a-z0-9]+)*)(?![\w-])")
PUT_TOGETHER = re.compile(rb"(?<![\w-])ti-(?:[a-z0-9-]*-)?(?:\{|[\"']\s*[~+%])")
TOLD = b"ti-{{ link.icon }}"
"""What is put together of names that `add` was told, those of the navigation."""
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
    """Have icons in the sheet whose classes are nowhere written out: `icons.add("mood-happy")`."""
    _added.update(names)


def sheet() -> bytes:
    """The style sheet. What Tabler does not have is left out: `faults` tells of it."""
    return _sheet(frozenset(_added).union(*(_names(path, modified) for path, modified in _sources())))


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
        if not _drawing(name).exists():
            yield f"Tabler has no icon named {name}: see https://tabler.io/icons for those that it has."


def _sources() -> Iterator[tuple[str, int]]:
    """The files that name icons, and when they were changed."""
    for place in PLACES:
        yield from _files(str(PROJECT / place))


def _files(folder: str) -> Iterator[tuple[str, int]]:
    # Not Path.rglob, which takes ten times as long: this is done each second in which somebody comes.
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                yield from _files(entry.path)
            elif entry.name.endswith(SOURCES):
                yield entry.path, entry.stat().st_mtime_ns


@lru_cache(maxsize=4096)
def _names(path: str, _modified: int) -> frozenset[str]:
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - in half the time of Path's, at each start
        text = file.read()
    return frozenset(name.decode() for name in NAMED.findall(text)) if b"ti-" in text else frozenset()


@lru_cache(maxsize=4)
def _sheet(names: frozenset[str]) -> bytes:
    for fault in _unknown(names):
        logger.warning(fault)
    return "".join([BASE, *(_rule(name) for name in sorted(names) if _drawing(name).exists())]).encode()


def _rule(name: str) -> str:
    text = _drawing(name).read_text(encoding="utf-8")
    # The first one is the frame, which is not painted.
    paths = re.findall(r"<(?!svg|/)[^>]*>", text)[1:]
    paint = "" if name.endswith(FILLED) else OUTLINED
    drawn = "".join(paths).replace('"', "'").replace(" />", "/>")
    return SHAPE.format(css="-".join(("ti", name)), paint=paint, paths=drawn)


def _drawing(name: str) -> Path:
    """The file of an icon, which need not exist."""
    kind = "filled" if name.endswith(FILLED) else "outline"
    return _drawings() / kind / f"{name.removesuffix(FILLED)}.svg"


@lru_cache(maxsize=1)
def _drawings() -> Path:
    wheel = find_spec("tablerpy")  # its files alone are wanted: nothing of it is imported
    if wheel is None or wheel.origin is None:
        raise OperatorError("The icons are missing: run pip install -r requirements.lock")
    return Path(wheel.origin).with_name("icons")
