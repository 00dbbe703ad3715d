"""The tag `{% shared %}` of pages."""

from collections.abc import Callable
from itertools import count
from time import monotonic

from jinja2 import Environment, nodes
from jinja2.ext import Extension
from jinja2.parser import Parser
from markupsafe import Markup

from opportune.config.settings import Settings
from opportune.i18n.languages import current_language

SHARED_SECONDS = 1
"""Seconds until a page shows a changed file or setting, as for the URLs of static files."""

unnamed_numbers = count()
"""Numbers of templates that are no files."""


class SharedParts(Extension):
    """Renders the body of `{% shared … %}` once a second for each language and for each value of its arguments.

    The body may use its arguments, settings, translations, `url()` and `asset()`, and nothing else of the request.
    In development and in tests, each page renders it.
    """

    tags = {"shared"}

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self._parts: dict[tuple[object, ...], tuple[Markup, Settings]] = {}
        """HTML by settings, place of the tag, language and arguments. It refers to the settings, so their id stays."""
        self._expires_at = 0.0

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        has_arguments = parser.stream.current.type != "block_end"
        key = parser.parse_tuple(with_condexpr=True, explicit_parentheses=False) if has_arguments else nodes.Const(None)
        body = parser.parse_statements(("name:endshared",), drop_needle=True)
        # Processes may share compiled templates, so the place is the same in all of them.
        place = nodes.Const((parser.name or next(unnamed_numbers), parser.free_identifier().name))
        call = self.call_method("_find_or_render", [nodes.Name("settings", "load"), place, key])
        return nodes.CallBlock(call, [], [], body).set_lineno(line)

    def _find_or_render(self, settings: Settings, place: object, key: object, caller: Callable[[], Markup]) -> Markup:
        if not settings.is_production:
            return caller()
        if self._expires_at < (now := monotonic()):
            self._parts.clear()
            self._expires_at = now + SHARED_SECONDS
        full_key = (id(settings), place, current_language.get(), key)
        part = self._parts.get(full_key)
        if part is None:
            part = self._parts[full_key] = (caller(), settings)
        return part[0]
