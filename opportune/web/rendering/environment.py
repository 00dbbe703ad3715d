"""Jinja environment of pages, the admin and e-mails."""

from collections.abc import Callable, MutableMapping
from typing import Any

from jinja2 import Environment
from jinja2.runtime import Context

from opportune.i18n import gettext
from opportune.web.rendering.translation import add_translation


class TemplateContext(Context):
    """Calls `_()` directly, because Jinja examines each function before each call."""

    def call(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        if function is not gettext:
            return super().call(function, *args, **kwargs)
        values = {name: value for name, value in kwargs.items() if name[:1] != "_"}  # Jinja adds variables of loops
        return gettext(*args, **values)


class TemplateEnvironment(Environment):
    """Environment with translation."""

    context_class = TemplateContext

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        add_translation(self)

    def make_globals(self, d: MutableMapping[str, Any] | None) -> MutableMapping[str, Any]:
        # All templates share the globals. Jinja copies each of them for each page, which takes as long as a short page.
        return super().make_globals(d) if d else self.globals
