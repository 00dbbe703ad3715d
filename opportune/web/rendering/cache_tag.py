"""The tag `{% cache %}` of pages."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from jinja2 import Environment, nodes
from jinja2.ext import Extension
from jinja2.filters import do_mark_safe
from jinja2.meta import find_undeclared_variables
from jinja2.parser import Parser

from opportune.context import use_value
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
        if per.value == PER_PERMISSIONS and _uses_user(parser.environment, body):
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
        site = scope.get(SITE) or scope.get("app")  # None outside requests. In an existing application, `app` differs
        cache: Cache | None = getattr(site.state, "cache", None) if site else None
        if origin is None or cache is None or scope.get("state", {}).get("impersonator"):  # its pages have a banner
            return caller()
        key = cache.key("part", template, name, dumps(vary), _viewer(scope, is_per_user=per == PER_USER))
        lookup = cache.parts.find(key, tag_tuple(tags))
        part = CachedPart(per == PER_USER, {**lookup.tag_versions})
        if lookup.entry and cache.is_enabled:
            html = lookup.entry.value.decode()
        else:
            with use_value(current_part, part):
                html = caller()
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


def _uses_user(environment: Environment, body: Iterable[nodes.Node]) -> bool:
    """Return whether a part contains the user of the page. A loop may have a variable of this name."""
    return "user" in find_undeclared_variables(nodes.Template([*body], environment=environment))


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


def _add_to_outer_part(part: CachedPart, name: str) -> None:
    """Give the outer part the tags of this one. Exclude it from the cache if it is not for the viewers of this one."""
    outer = current_part.get()
    if outer is None:
        return
    outer.tag_versions |= part.tag_versions
    outer.excluded_by = outer.excluded_by or part.excluded_by
    if part.is_per_user and not outer.is_per_user:
        outer.excluded_by = f"the part {name!r}, which is per user"
