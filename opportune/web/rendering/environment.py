"""Jinja environment of pages, the admin and e-mails."""

from collections.abc import Callable, Collection, MutableMapping
from typing import Any

from jinja2 import Environment
from jinja2.runtime import Context

from opportune.i18n import gettext
from opportune.web.forms.form_user import form_user, page_user
from opportune.web.rendering.post_forms import PostForms
from opportune.web.rendering.static_files import assets
from opportune.web.rendering.translation import add_translation

PLAIN_FUNCTIONS: Collection[Callable[..., Any]] = {gettext, assets.url, form_user}
"""Functions that each page calls often. They take nothing from the template."""


class TemplateContext(Context):
    """Calls some functions directly, because Jinja examines each function before each call."""

    def call(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        if function not in PLAIN_FUNCTIONS:
            return super().call(function, *args, **kwargs)
        if kwargs:  # Jinja adds the variables of loops and blocks
            kwargs = {name: value for name, value in kwargs.items() if name[:1] != "_"}
        return function(*args, **kwargs)


class TemplateEnvironment(Environment):
    """Environment with translation, and with the mark of the user in forms."""

    context_class = TemplateContext

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        add_translation(self)
        self.add_extension(PostForms)
        self.globals |= {"form_user": form_user, "page_user": page_user}

    def make_globals(self, d: MutableMapping[str, Any] | None) -> MutableMapping[str, Any]:
        # All templates share the globals. Jinja copies each of them for each page, which takes as long as a short page.
        return super().make_globals(d) if d else self.globals
