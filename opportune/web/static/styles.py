"""Tabler's style sheet without the rules that no page of the site can use.

A rule stays if each class of its selector occurs as a word in a template, a script or Python code of the project, of
its features or of the framework. A class that such a file composes, such as `bg-{{ colour }}-lt`, stays if the
other parts of its name occur as words. Mention other classes in any of these files, for example in a comment.

The result is stored in the environment, unless that is read-only, so that later processes need not read the sources.
"""

import contextlib
import hashlib
import re
import sys
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from opportune.errors import OperatorError
from opportune.project.layout import FRAMEWORK
from opportune.project.text_files import write_text
from opportune.web.static.icons import SOURCE_SUFFIXES, files_below, source_files

NOT_IN_WORDS = bytes(code if re.match(rb"[\w-]", bytes([code])) else 32 for code in range(256))
CLASS = re.compile(r"\.(-?[A-Za-z_][\w-]*)")
NEGATION = re.compile(r":not\((?:[^()]|\([^()]*\))*\)")
GROUP = ("@media", "@supports", "@layer", "@container")
SELECTOR_COMMA = re.compile(r",(?![^(]*\))")
DELIMITER = re.compile(r"[{};]")
PROPERTY = re.compile(r"""(--[\w-]+)\s*:((?:[^;{}"']|"[^"]*"|'[^']*')*);?""")
VARIABLE = re.compile(r"var\(\s*(--[\w-]+)")
SUFFIXES = (*SOURCE_SUFFIXES, ".css")
"""Style sheets use variables."""

NANOSECONDS_PER_SECOND = 10**9

Words = frozenset[str]
Sources = tuple[tuple[str, int], ...]
"""Files with their modification times."""


def prepare(path: str, modified: int, *, sources_change: bool) -> None:
    """Read the modules of the framework, which is slow, for the style sheet in this file.

    Without `sources_change`, they are read only if no result is stored.
    """
    if sources_change or used_rules(path, modified) is None:
        _framework_words(_vocabulary(_read(path)))
        used_rules(path, modified)


def used_rules(path: str, modified: int) -> str | None:
    """Return the rules of a style sheet that pages can use. None before `prepare`, unless they are stored."""
    sources = tuple(source_files(SUFFIXES))
    is_prepared = bool(_framework_words.cache_info().currsize)
    return _used_rules(path, modified, sources) if is_prepared else _read_stored(path, modified, sources)


@lru_cache(maxsize=2)  # from left to right, and from right to left
def _used_rules(path: str, modified: int, sources: Sources) -> str:
    if (stored := _read_stored(path, modified, sources)) is not None:
        return stored
    sheet = _read(path)
    vocabulary = _vocabulary(sheet)
    words = _framework_words(vocabulary).union(*(_words_in(source, vocabulary) for source, _ in sources))
    beginnings = tuple(word for word in words if word.endswith("-"))
    rules = _drop_unused_variables("".join(_select(sheet, words, beginnings)), words)
    _store(path, modified, sources, rules)
    return rules


def stored_file(name: str) -> Path:
    return Path(sys.prefix, "share", "opportune", name)


def state_of(sources: Sources) -> str:
    """Return a digest of the names and times of these files and the framework's. Images keep only seconds of times."""
    times = [(name, time // NANOSECONDS_PER_SECOND) for name, time in (*_framework_files(), *sources)]
    return hashlib.blake2b(repr(sorted(times)).encode(), digest_size=16).hexdigest()


def _read_stored(path: str, modified: int, sources: Sources) -> str | None:
    file = stored_file(Path(path).name)
    try:
        state, _, rules = _read(str(file)).partition("\n")
        stored_at = file.stat().st_mtime_ns
    except OSError:
        return None
    is_newer = stored_at >= max(time for _, time in (*_framework_files(), *sources, (path, modified)))
    return rules if is_newer and state == state_of((*sources, (path, modified))) else None


def _store(path: str, modified: int, sources: Sources, rules: str) -> None:
    file = stored_file(Path(path).name)
    with contextlib.suppress(OSError, OperatorError):  # the environment is read-only, or another process writes it
        write_text(file, f"{state_of((*sources, (path, modified)))}\n{rules}")


@lru_cache(maxsize=1)
def _framework_files() -> Sources:
    """Return the framework's modules, which do not change while the server runs."""
    return tuple(files_below(str(FRAMEWORK), SUFFIXES))


def _read(path: str) -> str:
    return Path(path).read_text(encoding="utf-8")


def _vocabulary(sheet: str) -> Words:
    """Return names of classes and variables, and their parts. Other words of the sources are not kept in memory."""
    variables = {name for name, _ in PROPERTY.findall(sheet)}
    names = {*CLASS.findall(sheet), *(name[2:] for name in variables)}
    parts = {part for name in names for part in name.split("-")}
    beginnings = {name[: dash.end()] for name in names for dash in re.finditer("-", name)}
    return frozenset(variables | names | parts | beginnings | {f"-{part}" for part in parts})


@lru_cache(maxsize=1)
def _framework_words(vocabulary: Words) -> Words:
    return frozenset().union(*(_words_in(path, vocabulary) for path, _ in _framework_files()))


def _words_in(path: str, vocabulary: Words) -> Words:
    return vocabulary.intersection(Path(path).read_bytes().translate(NOT_IN_WORDS).decode("ascii").split())


def _select(sheet: str, words: Words, beginnings: tuple[str, ...]) -> Iterator[str]:
    for head, body in _rules(sheet):
        if not body:
            yield head
        elif head.startswith(GROUP):
            if inner := "".join(_select(body, words, beginnings)):
                yield f"{head}{{{inner}}}"
        elif head.startswith("@"):
            yield f"{head}{{{body}}}"
        elif selectors := [part for part in SELECTOR_COMMA.split(head) if _is_used(part, words, beginnings)]:
            yield f"{','.join(selectors)}{{{body}}}"


def _is_used(selector: str, words: Words, beginnings: tuple[str, ...]) -> bool:
    names = CLASS.findall(NEGATION.sub("", selector))
    return all(name in words or _is_composed(name, words, beginnings) for name in names)


def _is_composed(name: str, words: Words, beginnings: tuple[str, ...]) -> bool:
    """Return whether a template may compose the class from a beginning and words, such as `text-{{ colour }}`."""
    if not name.startswith(beginnings):
        return False
    parts = name.split("-")[1:]
    return all(part.isdigit() or part in words or f"-{part}" in words for part in parts)


def _rules(sheet: str) -> Iterator[tuple[str, str]]:
    """Yield the selector and the block of each rule, and statements without a block."""
    start = opening = depth = 0
    for match in DELIMITER.finditer(sheet):
        if match[0] == "{":
            if not depth:
                opening = match.start()
            depth += 1
        elif match[0] == "}":
            depth -= 1
        if not depth:
            block = sheet[opening + 1 : match.start()] if match[0] == "}" else ""
            yield sheet[start : opening if block else match.end()].strip(), block
            start = match.end()


def _drop_unused_variables(sheet: str, words: Words) -> str:
    references: dict[str, set[str]] = {}
    for name, value in PROPERTY.findall(sheet):
        references.setdefault(name, set()).update(VARIABLE.findall(value))
    named = (name for name in references if name in words or name[2:] in words)
    waiting = [*VARIABLE.findall(PROPERTY.sub("", sheet)), *named]
    used = set()
    while waiting:
        name = waiting.pop()
        used.add(name)
        waiting += references.pop(name, ())

    def keep_used(match: re.Match[str]) -> str:
        return match[0] if match[1] in used else ""

    return PROPERTY.sub(keep_used, sheet)
