"""Texts in forms: what nobody touches is stored again as it was, line breaks and all."""

import re
from typing import Any

from markupsafe import Markup
from sqladmin.widgets import TextAreaWidget
from sqlalchemy import Column
from wtforms import StringField  # type: ignore[import-untyped]  # has no types
from wtforms.widgets import TextInput  # type: ignore[import-untyped]  # has no types

from opportune.db.columns import type_of

MAX_LINE_LENGTH = 255
LINE_BREAK = re.compile(r"\r\n?")


def is_multiline(column: Column[Any] | Any) -> bool:
    """Whether a column has room for several lines."""
    return not 0 < (getattr(type_of(column), "length", None) or 0) <= MAX_LINE_LENGTH


class InputOrTextarea:
    """A box wherever there are or may be several lines: browsers take line breaks out of an `<input>`."""

    def __call__(self, field: "TextField", **options: Any) -> Markup:
        if not field.lines and not re.search(r"[\r\n]", field._value()):
            return Markup(TextInput()(field, **options))  # noqa: S704 - the widget has escaped it
        box = TextAreaWidget()(field, **options)
        # Browsers drop a line break that comes first in a box, so one is put there to be dropped.
        return box.replace(Markup(">"), Markup(">\n"), 1)


class TextField(StringField):  # type: ignore[misc]  # its base has no types
    widget = InputOrTextarea()

    def __init__(self, *args: Any, lines: bool = False, **options: Any) -> None:
        super().__init__(*args, **options)
        self.lines = lines

    def process_formdata(self, valuelist: list[str]) -> None:
        """Line breaks, which browsers send as CR LF, become LF again, unless they are all that differs."""
        if valuelist:
            text, stored = LINE_BREAK.sub("\n", valuelist[0]), self.object_data
            self.data = stored if isinstance(stored, str) and LINE_BREAK.sub("\n", stored) == text else text
