"""Documentation of the running Python: docstrings of modules, classes and functions, and the language reference."""

import json
import keyword
import os
import re
import sys
import sysconfig
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from pydoc import Helper
from subprocess import DEVNULL, PIPE, Popen
from tempfile import TemporaryDirectory
from typing import Any

from markupsafe import escape

from app.pydocs.documents import EntriesOrFault, Entry
from app.pydocs.schemas import Kind

try:
    from pydoc_data.topics import topics
except ImportError:  # some distributions omit it
    topics = {}  # type: ignore[misc]

BLANK_LINES = re.compile(r"\n\s*\n")
HEADING = re.compile(r"([^\n]+)\n([-=*~^\"])\2{2,}\s*")
PREFORMATTED = re.compile(r"^(?:\s|>>>|[-+*] |-{2}|[=|#]|\d+[.)])", re.MULTILINE)
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
SOURCE = "the language reference"
UNDERLINE = re.compile(r"\A[*=]{3,}\n")
SECTION = re.compile(r"\n\n\n(?=[^\n]+\n=+\n)")
KEYWORD_SECTIONS = {"match": ("compound", 'The "match" statement'), "case": ("compound", 'The "match" statement')}
"""Topics and headings of keywords that help() does not have."""


class PythonSource:
    title = "Python " + ".".join(map(str, sys.version_info[:3]))

    def batches(self) -> list[str]:
        names = {ALIASES.get(name, name) for name in sys.stdlib_module_names if is_public(name)} - {""}
        names |= {submodule for name in names for submodule in submodules(name)}
        # Packages first, so that re-exported objects belong to the package.
        return [LANGUAGE, *sorted(names, key=lambda name: (name.count("."), name))]

    def read(self, batches: Iterable[str]) -> Generator[tuple[str, EntriesOrFault], None, None]:
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


def describe_modules(queue: deque[str]) -> Generator[tuple[str, EntriesOrFault], None, None]:
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


def create_entries(result: list[dict[str, Any]] | str) -> EntriesOrFault:
    """Turn the objects of a module (the first is the module itself) into entries, or return the error."""
    if isinstance(result, str):
        return result
    for entry in result[1:]:
        entry["module"] = result[0]["name"]
    return [create_entry(slug=entry["name"], **entry) for entry in result]


def create_entry(doc: str, slug: str, name: str, kind: Kind, **fields: str) -> Entry:
    return Entry(slug, name, kind, body=to_html(doc), title=first_line(doc, name), text=doc, **fields)


def to_html(doc: str) -> str:
    """Return a dedented docstring as escaped HTML."""
    blocks: list[tuple[str, str]] = []
    for block in BLANK_LINES.split(doc.expandtabs().strip("\n")):
        tag = "pre" if PREFORMATTED.search(block) else "p"
        if heading := HEADING.fullmatch(block):
            blocks.append(("h2", heading[1]))
        elif tag == "pre" and blocks and blocks[-1][0] == "pre":  # one block with blank lines
            blocks[-1] = tag, f"{blocks[-1][1]}\n\n{block}"
        elif block.strip():
            blocks.append((tag, block))
    return "\n".join(f"<{tag}>{escape(block)}</{tag}>" for tag, block in blocks)


def first_line(doc: str, name: str) -> str:
    """Return the first line, without the signature at the start of docstrings of C functions."""
    short_name = name.rpartition(".")[2]
    lines = (line.strip() for line in doc.splitlines())
    return next((line for line in lines if line and not line.startswith(f"{short_name}(")), "")[:200]


def create_language_entries() -> Iterator[Entry]:
    for name in [*keyword.kwlist, *KEYWORD_SECTIONS]:
        if text := keyword_text(name):
            title, body = split_heading(text)
            yield replace(create_entry(body, f"keyword/{name}", name, "keyword", source=SOURCE), title=title)
    for label, text in topics.items():
        if not keyword.iskeyword(label):
            title, body = split_heading(text)
            yield create_entry(body, f"topic/{label}", title, "topic", source=SOURCE)


def keyword_text(name: str) -> str:
    """Return the text about a keyword; empty for None, True and False."""
    if name in KEYWORD_SECTIONS:
        label, title = KEYWORD_SECTIONS[name]
        sections = SECTION.split(topics.get(label, ""))
        return next((section for section in sections if section.startswith(title)), "")
    # Values are other names, such as `if` for `elif` and BOOLEAN for `and`, or a tuple that begins with the topic.
    target: str | tuple[str, ...] = name
    while isinstance(target, str) and target:
        target = Helper.keywords.get(target) or Helper.topics.get(target) or ""
    return topics.get(target[0], "") if target else ""


def split_heading(text: str) -> tuple[str, str]:
    """Return the heading and the text below it."""
    title, _, body = text.strip().partition("\n")
    return title.replace('"', "").strip(), UNDERLINE.sub("", body)
