"""Jinja extensions of pages: the tags `{% cache %}` and `{% shared %}`, and the mark of the user in forms."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import count
from time import monotonic
from typing import Any

from jinja2 import Environment, nodes
from jinja2.ext import Extension
from jinja2.filters import do_mark_safe
from jinja2.lexer import Token, TokenStream
from jinja2.parser import Parser
from markupsafe import Markup

from opportune.config.settings import Settings
from opportune.db.hooks.change_origin import current_origin
from opportune.db.sessions.dependencies import SITE
from opportune.i18n.languages import current_language
from opportune.web.cache.cache import Cache
from opportune.web.cache.rule import check_seconds, tag_tuple
from opportune.web.cache.values import dumps
from opportune.web.forms.hidden_fields import TEAM_KEY
from opportune.web.rendering.cached_part import CachedPart, current_part
from opportune.web.time_zone import current_zone

CACHE_OPTIONS = ("seconds", "tags", "per")
PER_USER, PER_PERMISSIONS = "user", "permissions"

FORM_MARKUP = re.compile(r"""<form(?=[\s>])|["'>]""", re.IGNORECASE)
"""Beginning of a form, and the characters that end its opening tag and the values of attributes."""
POSTS = re.compile(r"""(?:^|\s)(?:method\s*=\s*["']?post\b|hx-(?:post|put|patch|delete)\s*=)""", re.IGNORECASE)
QUOTES_AND_END = ('"', "'", ">")
ANY_USER = "data-any-user"
"""Attribute of forms that are right for each user, such as the one that signs out."""
FORM_USER_CALL = (
    ("variable_begin", "{{"),
    ("name", "form_user"),
    ("lparen", "("),
    ("rparen", ")"),
    ("variable_end", "}}"),
)

SHARED_SECONDS = 1
"""Seconds until a page shows a changed file or setting, as for the URLs of static files."""

part_numbers = count()


class CacheTag(Extension):
    """Caches a part of a page: `{% cache "books", seconds=60, tags=["books"] %}…{% endcache %}`.

    Its key has the language, time zone, permissions and team of the viewer, and with `per="user"`, the default, the
    user.
    """

    tags = {"cache"}

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        arguments, options = _parse_arguments(parser, line)
        body = parser.parse_statements(("name:endcache",), drop_needle=True)
        per = options.get("per", nodes.Const(PER_USER))
        if not isinstance(per, nodes.Const) or per.value not in (PER_USER, PER_PERMISSIONS):
            parser.fail('Write per="user" or per="permissions" in {% cache %}.', line)
        if per.value == PER_PERMISSIONS and _uses_user(body):
            parser.fail('Users share this part, but it contains `user`. Leave out per="permissions".', line)
        keywords = [nodes.Keyword(name, value, lineno=line) for name, value in options.items()]
        call = self.call_method("_render", [nodes.Const(parser.name), *arguments], keywords, lineno=line)
        return nodes.CallBlock(call, [], [], body, lineno=line)

    @staticmethod
    def _render(
        template: str,
        name: str,
        *vary: object,
        seconds: float,
        tags: Iterable[str] = (),
        per: str = PER_USER,
        caller: Callable[[], str],
    ) -> str:
        check_seconds(seconds, 0)
        origin = current_origin.get()
        scope: Mapping[str, Any] = origin.scope if origin else {}
        site = scope.get(SITE) or scope.get("app")  # in an existing application, `app` is not the site
        cache: Cache | None = getattr(site.state, "cache", None) if site else None
        if origin is None or cache is None or scope.get("state", {}).get("impersonator"):  # its pages have a banner
            return caller()
        key = cache.key("part", template, name, dumps(vary), _viewer(scope, is_per_user=per == PER_USER))
        lookup = cache.parts.find(key, tag_tuple(tags))
        part = CachedPart(per == PER_USER, {**lookup.tag_versions})
        if lookup.entry and cache.is_enabled:
            html = lookup.entry.value.decode()
        else:
            html = _render_part(part, caller)
            if part.excluded_by:
                reason = f"it contains {part.excluded_by}. Move that out of {{% cache %}}"
                cache.warn_once(f"The part {name!r} of {template}", reason)
            elif cache.is_enabled:
                cache.parts.save(key, html, part.tag_versions, seconds, origin.started_at)
        _add_to_outer_part(part, name)
        return do_mark_safe(html)


def _parse_arguments(parser: Parser, line: int) -> tuple[Sequence[nodes.Expr], Mapping[str, nodes.Expr]]:
    """Return the name with the values that the part depends on, and the options."""
    arguments: list[nodes.Expr] = []
    options: dict[str, nodes.Expr] = {}
    stream = parser.stream
    while stream.current.type != "block_end":
        if arguments:
            stream.expect("comma")
        if stream.current.type == "name" and stream.look().type == "assign":
            option = next(stream).value
            if option not in CACHE_OPTIONS:
                parser.fail(f"{{% cache %}} has no option {option}, only {', '.join(CACHE_OPTIONS)}.", line)
            next(stream)
            options[option] = parser.parse_expression()
        else:
            arguments.append(parser.parse_expression())
    if not arguments or "seconds" not in options:
        parser.fail('{% cache %} needs a name and seconds: {% cache "books", seconds=60 %}', line)
    return arguments, options


def _uses_user(body: Iterable[nodes.Node]) -> bool:
    names = [name for node in body for name in (node, *node.find_all(nodes.Name)) if isinstance(name, nodes.Name)]
    is_variable = any(name.name == "user" and name.ctx == "store" for name in names)
    return not is_variable and any(name.name == "user" for name in names)


def _viewer(scope: Mapping[str, Any], *, is_per_user: bool) -> tuple[object, ...]:
    """Return everything about the visitor that a part may depend on."""
    state = scope.get("state", {})
    user = state.get("user")
    return (
        current_language.get(),
        str(current_zone.get()),
        (scope["scheme"], dict(scope["headers"]).get(b"host"), scope.get("root_path", "")),
        "user" in state,
        user.id if user and is_per_user else user is not None,
        sorted(state["permissions"]) if user else (),
        state.get(TEAM_KEY),
    )


def _render_part(part: CachedPart, caller: Callable[[], str]) -> str:
    token = current_part.set(part)
    try:
        return caller()
    finally:
        current_part.reset(token)


def _add_to_outer_part(part: CachedPart, name: str) -> None:
    """Clear and exclude the outer part together with this one."""
    outer = current_part.get()
    if outer is None:
        return
    outer.tag_versions |= part.tag_versions
    outer.excluded_by = outer.excluded_by or part.excluded_by
    if part.is_per_user and not outer.is_per_user:
        outer.excluded_by = f"the part {name!r}, which is per user"


class PostForms(Extension):
    """Inserts `{{ form_user() }}` after the opening tag of each form that posts, when a template is compiled."""

    def filter_stream(self, stream: TokenStream) -> Iterable[Token]:
        return _FormTags().insert_fields(stream)


class _FormTags:
    """Opening tags of forms in the HTML of a template, whose attributes may contain expressions and conditions."""

    def __init__(self) -> None:
        self.tag: str | None = None
        """Text of the opening tag of a form so far. None outside of one."""
        self.quote = ""
        """Quote that ends the value of the current attribute."""

    def insert_fields(self, stream: Iterable[Token]) -> Iterator[Token]:
        previous_type, is_message = "", False
        for token in stream:
            if previous_type == "block_begin" and token.value in ("trans", "endtrans"):
                is_message = token.value == "trans"  # a text allows no calls
            previous_type = token.type
            if token.type == "data" and not is_message:
                yield from self._with_fields(token)
            else:
                yield token

    def _with_fields(self, html: Token) -> Iterator[Token]:
        start = 0
        for end in self._ends_of_tags(html.value):
            yield Token(html.lineno, "data", html.value[start:end])
            for type_, value in FORM_USER_CALL:
                yield Token(html.lineno, type_, value)
            start = end
        if start < len(html.value):
            yield Token(html.lineno, "data", html.value[start:])

    def _ends_of_tags(self, html: str) -> Iterator[int]:
        """Yield the positions behind the opening tags of forms that post."""
        start = 0
        for match in FORM_MARKUP.finditer(html):
            if self.tag is None:
                if match[0] not in QUOTES_AND_END:
                    self.tag, start = "", match.end()
            elif self.quote:
                if match[0] == self.quote:
                    self.quote = ""
            elif match[0] == ">":
                tag, self.tag = self.tag + html[start : match.start()], None
                if POSTS.search(tag) and ANY_USER not in tag:
                    yield match.end()
            elif match[0] in QUOTES_AND_END:
                self.quote = match[0]
        if self.tag is not None:  # the tag ends in the next piece of HTML
            self.tag += html[start:]


class SharedParts(Extension):
    """Renders the body of `{% shared … %}` once a second for each language and for each value of its arguments.

    The body may use its arguments, settings, translations, `url()` and `asset()`, and nothing else of the request.
    In development and in tests, each page renders it.
    """

    tags = {"shared"}

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self._parts: dict[tuple[object, ...], tuple[Markup, Settings]] = {}
        """HTML by settings, number of the tag, language and arguments. It refers to the settings, so their id stays."""
        self._expires_at = 0.0

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        has_arguments = parser.stream.current.type != "block_end"
        key = parser.parse_tuple(with_condexpr=True, explicit_parentheses=False) if has_arguments else nodes.Const(None)
        body = parser.parse_statements(("name:endshared",), drop_needle=True)
        number = nodes.Const(next(part_numbers))
        call = self.call_method("_find_or_render", [nodes.Name("settings", "load"), number, key])
        return nodes.CallBlock(call, [], [], body).set_lineno(line)

    def _find_or_render(self, settings: Settings, number: int, key: object, caller: Callable[[], Markup]) -> Markup:
        if not settings.is_production:
            return caller()
        if self._expires_at < (now := monotonic()):
            self._parts.clear()
            self._expires_at = now + SHARED_SECONDS
        full_key = (id(settings), number, current_language.get(), key)
        part = self._parts.get(full_key)
        if part is None:
            part = self._parts[full_key] = caller(), settings
        return part[0]
