"""Footnotes in Markdown.

The pieces of a streamed text are rendered alone, so a piece has notes and their numbers without links and ids.
`link_footnotes` adds them to the joined HTML, where all references and notes are known.
"""

import re
import zlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.rules_block import StateBlock
    from markdown_it.rules_inline import StateInline
    from markdown_it.token import Token

_LABEL = re.compile(r"\[\^(\w[\w-]{0,31})\]")
_NOTE = re.compile(r'<section class="footnote"><sup>([^<]*)</sup>(.*?)</section>\n', re.DOTALL)
_REFERENCE = re.compile(r'<sup class="footnote-ref">([^<]*)</sup>')


def link_footnotes(html: str, key: str = "") -> str:
    """Move the notes of a complete text to its end, and link them with their references.

    The ids contain `key`, by default a hash of the text. References without a note become text again.
    """
    if 'class="footnote' not in html:
        return html
    notes: dict[str, str] = {}
    for label, note in _NOTE.findall(html):
        notes[label] = notes.get(label, "") + note.strip()
    body = _NOTE.sub("", html)
    used_labels = [label for label in _REFERENCE.findall(body) if label in notes]
    labels = [*dict.fromkeys([*used_labels, *notes])]
    links = _Links(labels, key or f"{zlib.crc32(html.encode()):x}")
    body = _REFERENCE.sub(links.link_reference, body)
    linked_notes = [_REFERENCE.sub(links.link_reference, notes[label]) for label in labels]
    if not linked_notes:
        return body
    items = "".join(map(links.list_item, labels, linked_notes))
    return f'{body}<section class="footnotes">\n<ol>\n{items}</ol>\n</section>\n'


class _Links:
    """Numbers and ids of footnotes, in the order of their first references."""

    def __init__(self, labels: Iterable[str], key: str) -> None:
        self._key = key
        self._numbers = {label: number for number, label in enumerate(labels, 1)}
        self._linked = set[str]()

    def link_reference(self, reference: re.Match[str]) -> str:
        """Return the link of a reference to its note. The note links back to its first reference."""
        label = reference[1]
        if label not in self._numbers:
            return f"[^{label}]"
        number = self._numbers[label]
        id_ = "" if label in self._linked else f' id="ref-{self._key}-{number}"'
        self._linked.add(label)
        return f'<a class="footnote-ref"{id_} href="#note-{self._key}-{number}"><sup>{number}</sup></a>'

    def list_item(self, label: str, note: str) -> str:
        """Return a note with a link to its first reference. Call it after all references are linked."""
        name = f"{self._key}-{self._numbers[label]}"
        back = f' <a href="#ref-{name}">↩\ufe0e</a>' if label in self._linked else ""
        text = note.removesuffix("</p>")
        end = note[len(text) :]
        return f'<li id="note-{name}">{text}{back}{end}</li>\n'


def read_reference(state: "StateInline", silent: bool) -> bool:
    """Read `[^1]`, also without its note, which may not have arrived yet."""
    match = _LABEL.match(state.src, state.pos, state.posMax)
    if match is None or state.linkLevel:
        return False
    if not silent:
        state.push("footnote", "", 0).content = match[1]
    state.pos = match.end()
    return True


def read_note(state: "StateBlock", start: int, end: int, silent: bool) -> bool:
    """Read `[^1]: text` outside of lists and quotations."""
    from mdit_py_plugins.footnote.index import footnote_def  # only for texts with footnotes

    first = state.bMarks[start] + state.tShift[start]
    match = _LABEL.match(state.src, first, state.eMarks[start])
    if match is None or not state.src.startswith(":", match.end()):
        return False
    may_start = silent or state.level == 0  # silent: it ends any paragraph
    return may_start and footnote_def(state, start, end, silent)


def add_footnotes(parser: "MarkdownIt") -> None:
    parser.inline.ruler.before("link", "footnote", read_reference)
    parser.block.ruler.before("reference", "footnote_note", read_note, {"alt": ["paragraph"]})
    parser.add_render_rule("footnote", _render_reference)
    parser.add_render_rule("footnote_reference_open", _open_note)
    parser.add_render_rule("footnote_reference_close", _close_note)


def _render_reference(_: object, tokens: "list[Token]", idx: int, *__: object) -> str:
    return f'<sup class="footnote-ref">{tokens[idx].content}</sup>'


def _open_note(_: object, tokens: "list[Token]", idx: int, *__: object) -> str:
    return f'<section class="footnote"><sup>{tokens[idx].meta["label"]}</sup>'


def _close_note(*_: object) -> str:
    return "</section>\n"
