"""Text with what was looked for in <mark>, and everything escaped."""

from collections.abc import Iterator
from html import escape
from operator import itemgetter

BEFORE = 60
"""Characters of a snippet before what was found."""
LENGTH = 180


class Highlighter:
    """Marks the words of a question where they begin a word, or a part of a CamelCase name.

    By looking for each of them: to compile a regular expression for each question takes longer than all of this.
    """

    def __init__(self, marks: list[str]) -> None:
        self.marks = marks

    def name(self, name: str) -> str:
        return self._marked(name)

    def snippet(self, text: str) -> str:
        """Some words of a text, around the first that was looked for."""
        start = max(0, self._place(text) - BEFORE)
        if start:
            start = text.find(" ", start) + 1
        end = start + LENGTH
        if end < len(text):
            end = text.rfind(" ", start, end) if " " in text[start:end] else end
        return f"{'…' if start else ''}{self._marked(text[start:end])}{' …' if end < len(text) else ''}"

    def _place(self, text: str) -> int:
        low = text.lower()
        places = [low.find(f" {mark}") for mark in self.marks]
        return min((place for place in places if place >= 0), default=0)

    def _marked(self, text: str) -> str:
        done, pieces = 0, []
        for start, end in sorted(self._found(text), key=itemgetter(0)):
            if start >= done:
                pieces += [escape(text[done:start]), "<mark>", escape(text[start:end]), "</mark>"]
                done = end
        return "".join([*pieces, escape(text[done:])])

    def _found(self, text: str) -> Iterator[tuple[int, int]]:
        """Where the words stand; of those that begin at the same place, the longest comes first as in `marks`."""
        low = text.lower()
        if len(low) != len(text):  # a few letters are two in lower case
            low = text
        for mark in self.marks:
            start = low.find(mark)
            while start >= 0:
                if _begins(text, start):
                    yield start, start + len(mark)
                start = low.find(mark, start + 1)


def _begins(text: str, place: int) -> bool:
    """Whether a word begins there, or a part of one."""
    before = text[place - 1 : place]
    return not before.isalnum() or (text[place].isupper() and not before.isupper())
