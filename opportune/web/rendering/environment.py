"""Jinja environment of pages, the admin and e-mails."""

from collections.abc import MutableMapping
from typing import Any

from jinja2 import Environment

from opportune.web.rendering.translation import add_translation


class TemplateEnvironment(Environment):
    """Environment with translation."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        add_translation(self)

    def make_globals(self, d: MutableMapping[str, Any] | None) -> MutableMapping[str, Any]:
        # All templates share the globals. Jinja copies each of them for each page, which takes as long as a short page.
        return super().make_globals(d) if d else self.globals
