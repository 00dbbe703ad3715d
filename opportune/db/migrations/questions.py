"""What the models alone do not tell: whether something new is something old renamed, and what rows that exist get."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from opportune.errors import OperatorError


class Rename(NamedTuple):
    """Something that is gone, and something new in its place."""

    old: tuple[str, ...]
    """A table; table and column; or table, column and a value that an Enum has lost."""
    new: str
    kind: str
    """What both are, such as VARCHAR(200); empty where they are not alike."""
    short: str
    """The table's name without its feature."""
    is_likely: bool = True
    """Whether to offer it: a text that goes and a foreign key that comes are two things."""

    @property
    def question(self) -> str:
        if len(self.old) == 1:
            return f"Was the table {self.old[0]} renamed to {self.new}?"
        if len(self.old) == 2:
            return f"Was {self.short}.{self.old[1]} renamed to {self.short}.{self.new} (a {self.kind})?"
        return f"Was '{self.old[2]}' of {self.short}.{self.old[1]} renamed to '{self.new}'?"


@dataclass
class Answers:
    """Those that were given beforehand, by what they are about, and a person to ask, if there is one."""

    renames: Mapping[str, str] = field(default_factory=dict)
    fills: Mapping[str, str | None] = field(default_factory=dict)
    """None: the owner writes code."""
    may_drop: bool = True
    confirm: Callable[[str], bool] | None = None
    prompt: Callable[[str], str] | None = None
    _used: dict[str, tuple[str, ...]] = field(default_factory=dict)
    _denied: set[str] = field(default_factory=set)

    def choose(self, possible: Sequence[Rename]) -> Rename | None:
        """One of these that is a rename.

        Raises:
            OperatorError: an answer fits several.
        """
        for left, right in self.renames.items():
            found = [rename for rename in possible if _is_called(left, rename) and _leads_to(right, rename)]
            self._use(f"--rename {left}={right}", [rename.old for rename in found], left)
            if found:
                return found[0]
        return next((rename for rename in possible if rename.kind and self._confirmed(rename.question)), None)

    def refuse_drops(self, dropped: Sequence[tuple[str, ...]], possible: Sequence[Rename]) -> None:
        """Stop before what no model has any more is dropped, or taken for gone where it has another name.

        Raises:
            OperatorError: that was not allowed.
        """
        if not dropped or self.may_drop:
            return
        first = ".".join(dropped[0])
        likely = sorted(
            (rename for rename in possible if rename.old == dropped[0] and rename.is_likely),
            key=lambda rename: not rename.kind,
        )
        rename = f"If it has a new name, add --rename {first}={likely[0].new}; i" if likely else "I"
        raise OperatorError(
            f"No model has {', '.join(map('.'.join, dropped))} any more, and what is in it would be lost. "
            f"{rename}f you mean to drop it, add --allow-drop."
        )

    def value(self, table: str, column: str, short: str, *, by_code: bool) -> str | None:
        """What rows that exist get in a column that may not be empty, or None where the owner writes code.

        With `by_code` that is what happens unless somebody has said otherwise.

        Raises:
            OperatorError: nobody says.
        """
        place = (table, column)
        for left, value in self.fills.items():
            if left in _names(place, short):
                self._use(f"--fill {left}", [place], left)
                return value
        if by_code:
            return None
        problem = f"{table}.{column} may not be empty and has no default"
        if self.prompt:
            return self.prompt(f"{problem}. What do rows that exist get?") or None
        raise OperatorError(
            f"{problem}, so existing rows would have no value. Give the field a default, let it be None, or add "
            f"--fill {table}.{column}=VALUE; without =VALUE the migration gets a place for code that fills it."
        )

    def refuse_unused(self) -> None:
        """Stop where an answer was about nothing, as one with a misspelt name is.

        Raises:
            OperatorError: it names the first.
        """
        given = [
            *(f"--rename {left}={right}" for left, right in self.renames.items()),
            *(f"--fill {left}" for left in self.fills),
        ]
        if unused := [option for option in given if option not in self._used]:
            raise OperatorError(
                f"{unused[0]} is about nothing: a rename is of what the models no longer have to what is new in the "
                "same place, and what is filled is a column that now may not be empty. See makemigrations --check."
            )

    def _confirmed(self, question: str) -> bool:
        if not self.confirm or question in self._denied:
            return False
        confirmed = self.confirm(question)
        if not confirmed:
            self._denied.add(question)
        return confirmed

    def _use(self, option: str, found: Sequence[tuple[str, ...]], left: str) -> None:
        places = sorted({*found, *filter(None, [self._used.get(option) if found else None])})
        if len(places) > 1:
            names = " and ".join(".".join(place) for place in places)
            raise OperatorError(f"{option} may be about {names}: write the table as well.")
        if found:
            self._used[option] = found[0]


def parse_answers(options: Iterable[str]) -> dict[str, str | None]:
    """What stands before and after the = of options; None where there is none."""
    parts = (option.partition("=") for option in options)
    return {left.strip(): value if sign else None for left, sign, value in parts}


def _is_called(word: str, rename: Rename) -> bool:
    return word in _names(rename.old, rename.short)


def _leads_to(word: str, rename: Rename) -> bool:
    is_table = len(rename.old) == 1
    return word == rename.new or word.endswith(f".{rename.new}") or (is_table and rename.new.endswith(f"_{word}"))


def _names(place: tuple[str, ...], short: str) -> set[str]:
    """Every way to write it: `books_book.title`, `book.title` and `title`."""
    return {".".join(place[start:]) for start in range(len(place))} | {".".join((short, *place[1:]))}
