"""The lines of an inline table in a submitted page."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from starlette.datastructures import FormData

from opportune.admin.forms.inlines import MAX_INLINE_ROWS, InlineRow
from opportune.web.forms.seen_values import SEEN_FIELD

ROWS_FIELD = "(rows)"
"""Name of hidden fields with the keys of all lines of a page, in their order."""
MOVE_FIELD = "(move)"
ADD_FIELD = "(add)"
"""Names of buttons that send the form, so that pages work without JavaScript."""
NEW_KEY = re.compile(r"new(\d{1,4})")


class SubmittedLines(NamedTuple):
    """The lines of one table in the submitted page, if there is one."""

    form_data: FormData | None
    prefix: str

    @property
    def keys(self) -> list[str]:
        """Keys of the lines, in their order."""
        values = self.form_data.getlist(f"{self.prefix}-{ROWS_FIELD}") if self.form_data else []
        return list(dict.fromkeys(value for value in values if isinstance(value, str)))

    def value(self, name: str) -> str:
        value = self.form_data.get(f"{self.prefix}-{name}") if self.form_data else None
        return value if isinstance(value, str) else ""

    def new_keys(self, extra: int) -> list[str]:
        """Return the keys of lines for new rows: those of the submitted page, or `extra` empty ones."""
        keys = [key for key in self.keys if NEW_KEY.fullmatch(key)][:MAX_INLINE_ROWS]
        if not self.keys:
            keys = [f"new{number}" for number in range(extra)]
        return [*keys, unused_key(keys)] if self.value(ADD_FIELD) else keys

    @property
    def pks(self) -> list[str]:
        """Keys of the stored rows."""
        return [key for key in self.keys if not NEW_KEY.fullmatch(key)][: 2 * MAX_INLINE_ROWS]

    def stored_keys(self) -> list[tuple[str, str]]:
        """Return the keys of stored rows in the submitted page that were not deleted, each with its hashes."""
        hashes = [(key, self.seen(key)) for key in self.pks if not self.value(f"{key}-delete")]
        return [(key, seen) for key, seen in hashes if seen]

    def renamed(self, key: str, new_key: str) -> FormData:
        """Return the fields of one line with the names that they have in another line."""
        old, new = (f"{self.prefix}-{name}-" for name in (key, new_key))
        items = self.form_data.multi_items() if self.form_data else []
        return FormData([(new + name.removeprefix(old), value) for name, value in items if name.startswith(old)])

    def seen(self, key: str) -> str:
        """Return the hashes of the values that a line showed."""
        return self.value(f"{key}-{SEEN_FIELD}")

    def sort(self, lines: list[InlineRow]) -> None:
        """Put the lines in the order of the page, after the move of a button."""
        if keys := self.keys:
            positions = {key: position for position, key in enumerate(keys)}
            lines.sort(key=lambda line: positions.get(line.key, len(keys)))
            _move_line(lines, self.value(MOVE_FIELD))


def unused_key(keys: Sequence[str]) -> str:
    """Return a key for a new row that is not one of these keys of new rows."""
    return f"new{max((int(key.removeprefix('new')) + 1 for key in keys), default=0)}"


def _move_line(lines: list[InlineRow], button: str) -> None:
    """Move a line up or down. The value of the button is `<key>:up` or `<key>:down`."""
    key, _, direction = button.rpartition(":")
    keys = [line.key for line in lines]
    if key in keys:
        index = keys.index(key)
        new_index = max(index - 1, 0) if direction == "up" else index + 1
        lines.insert(new_index, lines.pop(index))


def edits_lines(form_data: FormData | None) -> bool:
    """Return whether the pressed button adds or moves a line, so that nothing is saved yet."""
    return any(name.endswith((f"-{MOVE_FIELD}", f"-{ADD_FIELD}")) for name in form_data or ())
