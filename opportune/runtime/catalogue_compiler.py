"""Compiles catalogues (.po) into the binary format of gettext (.mo), with the standard library only.

The wheel of the framework is built with it before anything is installed. Messages that are fuzzy, empty, or have other
placeholders than their English text are left out, so that the English text is shown.
"""

import ast
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

PLACEHOLDER = re.compile(r"%(?:%|\((\w+)\)[#0\- +]?\d*(?:\.\d+)?[a-zA-Z]|[a-zA-Z])|%")
"""Placeholders such as `%(name)s`, a doubled percent sign, or an invalid percent sign."""
SIMPLE_TEXT = re.compile(r'"[^"\\]*"')
FORMAT_MARK = (0x950412DE).to_bytes(4, "little")
HEADER_BYTES = 28
CONTEXT_SEPARATOR, PLURAL_SEPARATOR = "\x04", "\x00"
PLURAL_FORMS = re.compile(r"nplurals\s*=\s*(\d+)")
"""Number of plural forms in the header of a catalogue."""


@dataclass
class CatalogueState:
    """Translations of a catalogue that are not shown."""

    missing: int = 0
    fuzzy: int = 0
    broken: dict[str, str] = field(default_factory=dict)
    """Problems by English text: wrong placeholders, or too few plural forms."""


@dataclass
class Entry:
    """A message of a catalogue."""

    context: str | None = None
    text: str = ""
    plural: str = ""
    translations: dict[int, str] = field(default_factory=dict)
    is_fuzzy: bool = False

    @property
    def key(self) -> str:
        prefix = "" if self.context is None else self.context + CONTEXT_SEPARATOR
        return prefix + self.text + (PLURAL_SEPARATOR + self.plural if self.plural else "")

    @property
    def is_usable(self) -> bool:
        return not self.is_fuzzy and all(self.translations.values()) and not placeholder_problem(self)


def compile_catalogue(text: str) -> bytes:
    """Return the compiled form of a catalogue.

    Raises:
        ValueError: the text is not a catalogue.
    """
    entries = {entry.key: entry for entry in read_entries(text) if not entry.text or entry.is_usable}
    pairs = [
        (key.encode(), PLURAL_SEPARATOR.join(value for _, value in sorted(entry.translations.items())).encode())
        for key, entry in entries.items()
    ]
    pairs.sort()
    count, keys, values = len(pairs), b"", b""
    key_table, value_table = [], []
    for key, value in pairs:
        key_table += [len(key), len(keys)]
        value_table += [len(value), len(values)]
        keys, values = keys + key + b"\0", values + value + b"\0"
    start = HEADER_BYTES + 16 * count
    key_table[1::2] = [offset + start for offset in key_table[1::2]]
    value_table[1::2] = [offset + start + len(keys) for offset in value_table[1::2]]
    header = (FORMAT_MARK, 0, count, HEADER_BYTES, HEADER_BYTES + 8 * count, 0, 0)
    return struct.pack(f"<4s6I{4 * count}I", *header, *key_table, *value_table) + keys + values


def examine_catalogue(text: str) -> CatalogueState:
    """Count the translations that are missing, fuzzy or broken.

    Raises:
        ValueError: the text is not a catalogue.
    """
    state, forms = CatalogueState(), 0
    for entry in read_entries(text):
        if not entry.text:
            forms = int(match[1]) if (match := PLURAL_FORMS.search(entry.translations.get(0, ""))) else 0
        elif entry.is_fuzzy:
            state.fuzzy += 1
        elif not any(entry.translations.values()):
            state.missing += 1
        elif problem := placeholder_problem(entry) or _plural_problem(entry, forms):
            state.broken[entry.text] = problem
    return state


def _plural_problem(entry: Entry, forms: int) -> str:
    count = sum(map(bool, entry.translations.values()))
    return f"{count} of {forms} plural forms" if entry.plural and count < forms else ""


def read_entries(text: str) -> Iterator[Entry]:
    """Yield the messages of a catalogue, the header first. Obsolete messages are skipped.

    Raises:
        ValueError: a line is not part of a message.
    """
    entry, target = Entry(), ""
    for number, raw_line in enumerate(text.splitlines(), 1):
        line = raw_line.strip()
        if line.startswith(("#~", "# ", "#:", "#.", "#|")) or line in ("", "#"):
            continue
        if line.startswith("#,"):
            if entry.translations:
                yield entry
                entry, target = Entry(), ""
            entry.is_fuzzy = "fuzzy" in line
            continue
        if not line.startswith('"'):
            keyword, _, line = line.partition(" ")
            if keyword in ("msgctxt", "msgid") and entry.translations:
                yield entry
                entry = Entry()
            target = keyword
        _append(entry, target, _unquote(line, number), number)
    if entry.translations:
        yield entry


def _append(entry: Entry, target: str, value: str, number: int) -> None:
    match target:
        case "msgctxt":
            entry.context = (entry.context or "") + value
        case "msgid":
            entry.text += value
        case "msgid_plural":
            entry.plural += value
        case _ if target == "msgstr" or re.fullmatch(r"msgstr\[\d\]", target):
            index = int(target[7]) if "[" in target else 0
            entry.translations[index] = entry.translations.get(index, "") + value
        case _:
            raise ValueError(f"line {number} is not part of a message")


def _unquote(text: str, number: int) -> str:
    if SIMPLE_TEXT.fullmatch(text):  # the parser below takes ten times as long
        return text[1:-1]
    try:
        value = ast.literal_eval(text.strip())
    except (ValueError, SyntaxError):
        value = None
    if not isinstance(value, str):
        raise ValueError(f"line {number} has no text in quotes")
    return value


def placeholder_problem(entry: Entry) -> str:
    """Return why the placeholders of a translation do not fit its English text; empty if they do."""
    expected = _placeholders(entry.text) | _placeholders(entry.plural)
    optional = _placeholders(entry.text) ^ _placeholders(entry.plural) if entry.plural else set()
    optional |= {"num", "count"} if entry.plural else set()  # "one row" instead of "1 row"
    for translation in entry.translations.values():
        names = _placeholders(translation)
        if unknown := names - expected:
            return f"unknown placeholder {_describe(min(unknown))}"
        if missing := expected - names - optional:
            return f"missing placeholder {_describe(min(missing))}"
    return ""


def _placeholders(text: str) -> set[str]:
    """Return the names of placeholders. An invalid percent sign in a text with placeholders has the name `%`."""
    names = {match[1] or match[0] for match in PLACEHOLDER.finditer(text) if match[0] != "%%"}
    return names if "%(" in text else names & {"%s", "%d"}


def _describe(name: str) -> str:
    return name if name.startswith("%") else f"%({name})s"
