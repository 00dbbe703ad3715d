"""Style sheet with the used icons of Tabler, as CSS masks in the colour of the text.

The sheet contains icons whose class, `ti-` and Tabler's name, occurs in a template, a script or the project's Python
code. `add` includes other names, such as those from a database. Icons that a feature declares for admin views,
navigation and events are added automatically.
"""

import logging
import os
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from opportune.errors import OperatorError
from opportune.errors.suggestions import did_you_mean
from opportune.project.feature_packages import feature_packages
from opportune.project.layout import FRAMEWORK, PACKAGE, PROJECT

logger = logging.getLogger(__name__)

SOURCE_FOLDERS = (
    *(PROJECT / name for name in ("templates", "static", PACKAGE)),
    *map(Path, feature_packages().values()),
    # Icons of other modules are added with `add`.
    *(FRAMEWORK / name for name in ("templates", "static", "admin", "accounts/admin", "accounts/events")),
    *(FRAMEWORK / "contrib" / name for name in ("dashboard", "operations")),
)
SOURCE_FILES = [
    path for pattern in ("*/admin.py", "*/admin/*.py") for path in sorted((FRAMEWORK / "contrib").glob(pattern))
]
"""Admin views of optional features. Their icons are read from the files, because the admin imports them later."""
SOURCE_SUFFIXES = (".html", ".js", ".py")
# The lookbehind follows the prefix, because patterns that begin with plain letters match much faster.
ICON_CLASS = re.compile(rb"ti-(?<![\w-]ti-)([a-z0-9]+(?:-[a-z0-9]+)*)(?![\w-])")
COMPOSED_CLASS = re.compile(rb"(?<![\w-])ti-(?:[a-z0-9-]*-)?(?:\{|[\"']\s*[~+%])")
ADDED_EXPRESSION = re.compile(rb'ti-(?:\{\{ link\.icon|" ~ link\.icon|\{guess_icon\()')
"""Expressions for icons of the navigation and of the admin's models, which are added with `add`."""
ELEMENT = re.compile(r"<(?!svg|/)[^>]*>")
FILLED_SUFFIX = "-filled"
BASE_RULES = Path(__file__).with_name("icon_base.css").read_text(encoding="utf-8")
ICON_RULE = """\
.ti-{name} {{ --ti: url("data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 24 24' {paint}>{elements}</svg>"); }}
"""  # noqa: E501
OUTLINE_PAINT = "fill='none' stroke='black' stroke-width='2' stroke-linecap='round' stroke-linejoin='round'"

_added: set[str] = set()


def add(*names: str) -> None:
    """Include icons that do not occur in any file, by name (`icons.add("mood-happy")`) or by class."""
    for name in filter(None, names):
        _added.update(_names_in(name.encode()) or {name})


def added_count() -> int:
    """Return the number of icons added with `add`. The style sheets change with it."""
    return len(_added)


def style_sheet() -> bytes:
    """Return the style sheet of the used icons, without names that Tabler does not have."""
    return _build_style_sheet(used_names())


def used_names() -> frozenset[str]:
    """Return the names of all icons that occur in files or were added with `add`."""
    return frozenset(_added).union(*(_names_in_file(path, modified) for path, modified in source_files()))


def find_icon_errors() -> Iterator[str]:
    """Yield one line for each icon that would be invisible."""
    for path, modified in source_files():
        short_path = os.path.relpath(path, PROJECT)
        yield from (f"{short_path}: {fault}" for fault in _unknown_icon_faults(_names_in_file(path, modified)))
        if COMPOSED_CLASS.search(ADDED_EXPRESSION.sub(b"", Path(path).read_bytes())):
            yield f"{short_path}: the class of an icon is composed, so it cannot be found. Write the full class."
    yield from _unknown_icon_faults(_added)


def is_icon(name: str) -> bool:
    """Return whether Tabler has an icon of this name."""
    return _svg_elements(name) is not None


def unknown_icon_message(name: str) -> str | None:
    """Return a message with a similar name if Tabler has no icon of this name; None if it has one."""
    if is_icon(name):
        return None
    names = (path.stem for path in (svg_folder() / "outline").iterdir())
    return f"Tabler has no icon named {name}.{did_you_mean(name, names)}"


def _unknown_icon_faults(names: Iterable[str]) -> Iterator[str]:
    for name in sorted(names):
        if not is_icon(name):
            yield f"Tabler has no icon named {name}: see https://tabler.io/icons."


def source_files(suffixes: tuple[str, ...] = SOURCE_SUFFIXES) -> Iterator[tuple[str, int]]:
    """Yield the files that may name icons and classes, with their modification times."""
    yield from ((str(path), path.stat().st_mtime_ns) for path in SOURCE_FILES)
    for folder in SOURCE_FOLDERS:
        if folder.is_dir():
            yield from files_below(str(folder), suffixes)


def files_below(folder: str, suffixes: tuple[str, ...] = SOURCE_SUFFIXES) -> Iterator[tuple[str, int]]:
    # Path.rglob is slower, and under load this runs once a second.
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                if entry.name not in ("__pycache__", "locale"):
                    yield from files_below(entry.path, suffixes)
            elif entry.name.endswith(suffixes):
                yield entry.path, entry.stat().st_mtime_ns


@lru_cache(maxsize=4096)
def _names_in_file(path: str, _modified: int) -> frozenset[str]:
    return _names_in(_read(path))


def _names_in(text: bytes) -> frozenset[str]:
    return frozenset(name.decode() for name in ICON_CLASS.findall(text))


@lru_cache(maxsize=4)
def _build_style_sheet(names: frozenset[str]) -> bytes:
    for fault in _unknown_icon_faults(names):
        logger.warning(fault)
    rules = [_css_rule(name, elements) for name in sorted(names) if (elements := _svg_elements(name))]
    return "".join([BASE_RULES, *rules]).encode()


def _css_rule(name: str, elements: str) -> str:
    paint = "" if name.endswith(FILLED_SUFFIX) else OUTLINE_PAINT
    return ICON_RULE.format(name=name, paint=paint, elements=elements)


@lru_cache(maxsize=1024)
def _svg_elements(name: str) -> str | None:
    """Return the SVG elements of an icon, or None if it does not exist."""
    style = "filled" if name.endswith(FILLED_SUFFIX) else "outline"
    try:
        text = _read(f"{svg_folder()}/{style}/{name.removesuffix(FILLED_SUFFIX)}.svg").decode()
    except FileNotFoundError:
        return None
    # Tabler draws an invisible frame as the first element.
    return "".join(ELEMENT.findall(text)[1:]).replace('"', "'").replace(" />", "/>")


def _read(path: str) -> bytes:
    # Path.read_bytes is slower, and hundreds of files are read before the first page.
    file = os.open(path, os.O_RDONLY)
    try:
        return os.read(file, os.fstat(file).st_size)
    finally:
        os.close(file)


@lru_cache(maxsize=1)
def svg_folder() -> Path:
    """Return the folder of Tabler's SVG files, with the subfolders `outline` and `filled`."""
    wheel = find_spec("tablerpy")  # only its SVG files are used
    if wheel is None or wheel.origin is None:
        raise OperatorError("The icons are missing: run pip install -r requirements.lock")
    return Path(wheel.origin).with_name("icons")
