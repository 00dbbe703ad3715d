"""Jinja environment of pages, the admin and e-mails: its loader, translations and formats."""

import re
from collections.abc import Callable, Iterator, MutableMapping
from decimal import Decimal
from functools import partial
from keyword import iskeyword
from types import BuiltinMethodType, CodeType
from typing import Any

from jinja2 import Environment, FileSystemLoader, Template, nodes, pass_context, pass_eval_context
from jinja2.compiler import CodeGenerator, Frame
from jinja2.filters import do_mark_safe
from jinja2.nodes import EvalContext
from jinja2.runtime import Context
from jinja2.utils import missing
from markupsafe import Markup, escape

from opportune.i18n import formats, translation
from opportune.project.layout import TEMPLATE_FOLDERS
from opportune.web.forms.hidden_fields import form_user, page_mark
from opportune.web.language import url
from opportune.web.rendering.cache_tag import CacheTag
from opportune.web.rendering.cached_part import exclude_from_cache
from opportune.web.rendering.post_forms import PostForms
from opportune.web.rendering.shared_parts import SharedParts
from opportune.web.time_zone import format_date, format_datetime, format_local_clock, format_time, local

BREAK = re.compile(r"(?<=[@/])(?=\w)|(?<=\.)(?=\w[\w.-]{7})")
"""Places for a new line in an e-mail address or URL. Short endings such as .com stay with their word."""
FRAMEWORK_PREFIX = "opportune/"


@pass_eval_context
def _gettext(context: EvalContext, text: str, **values: Any) -> str:
    return _fill_in(context, translation.translate(text), text, values)


@pass_eval_context
def _pgettext(context: EvalContext, message_context: str, text: str, **values: Any) -> str:
    return _fill_in(context, translation.translate(text, context=message_context), text, values)


@pass_eval_context
def _ngettext(context: EvalContext, singular: str, plural: str, num: int, **values: Any) -> str:
    return _npgettext(context, "", singular, plural, num, **values)


@pass_eval_context
def _npgettext(context: EvalContext, message_context: str, singular: str, plural: str, num: int, **values: Any) -> str:
    message = translation.translate(singular, plural, num, context=message_context)
    return _fill_in(context, message, singular if num == 1 else plural, {"num": num, **values})


def _fill_in(context: EvalContext, message: str, text: str, values: dict[str, Any]) -> str:
    """Fill in placeholders. In templates of HTML, the texts are HTML, so that only the values are escaped."""
    to_text = do_mark_safe if context.autoescape else str
    if "%" not in message:  # saves time
        return to_text(message)
    return translation.fill_in(to_text(message), to_text(text), values)


def format_money(amount: Decimal | None, currency: str = "") -> str:
    """Format an amount, with the code of its currency: `{{ book.price | money("EUR") }}` is EUR 1,234.50."""
    if amount is None:
        return ""
    return formats.format_amount(amount, currency)


FORMATS: dict[str, Callable[..., Any]] = {
    "clock": format_local_clock,
    "date": format_date,
    "datetime": format_datetime,
    "filesize": formats.format_size,
    "join_list": formats.format_list,
    "local": local,
    "money": format_money,
    "number": formats.format_number,
    "percent": formats.format_percent,
    "time": format_time,
    "week_start": formats.week_start,
    "weekday": formats.format_weekday,
}
"""Filters whose result depends on the language or time zone.

Jinja would apply them to constants when it compiles a template, once for all visitors, unless they take the context.
"""


def _ignore_context(format_value: Callable[..., Any], _context: Context, *args: Any, **options: Any) -> Any:
    return format_value(*args, **options)


def add_translation(environment: Environment) -> None:
    """Add the functions, the tag `{% trans %}`, the formats and the filter of e-mail addresses.

    Texts in `_()` are escaped like other values. Texts in `{% trans %}` and `ngettext()` may contain HTML.
    """
    environment.add_extension("jinja2.ext.i18n")
    environment.policies["ext.i18n.trimmed"] = True
    environment.newstyle_gettext = True  # type: ignore[attr-defined]  # set by the extension
    for name, format_value in FORMATS.items():
        environment.filters[name] = pass_context(partial(_ignore_context, format_value))
    environment.filters["with_breaks"] = with_breaks
    environment.globals |= {
        "_": translation.gettext,
        "gettext": _gettext,
        "lower_name": translation.lower_name,
        "ngettext": _ngettext,
        "npgettext": _npgettext,
        "pgettext": _pgettext,
    }


DIRECT_FUNCTIONS = frozenset({"_", "asset", "form_user", "language_choices", "url"})
"""Names of functions that each page calls often. They take nothing from the template."""


class DirectCalls(CodeGenerator):
    """Compiles calls of some functions to plain calls, because Jinja examines each function before each call."""

    def visit_Call(self, node: nodes.Call, frame: Frame, forward_caller: bool = False) -> None:
        is_direct = isinstance(node.node, nodes.Name) and node.node.name in DIRECT_FUNCTIONS
        if not is_direct or node.dyn_args or node.dyn_kwargs or any(iskeyword(pair.key) for pair in node.kwargs):
            super().visit_Call(node, frame, forward_caller=forward_caller)
            return
        self.visit(node.node, frame)
        self.write("(")
        for argument in (*node.args, *node.kwargs):
            self.visit(argument, frame)
            self.write(", ")
        self.write(")")


class TemplateContext(Context):
    """Calls methods of built-in types directly, such as `isoformat()`. They cannot take a context."""

    def resolve_or_missing(self, key: str) -> Any:
        if key == "user":  # an included template may contain it
            exclude_from_cache("`user`", if_shared=True)
        return self.vars.get(key, self.parent.get(key, missing))

    def call(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        if type(function) is not BuiltinMethodType:
            return super().call(function, *args, **kwargs)
        if kwargs:  # Jinja adds the variables of loops and blocks
            kwargs = {name: value for name, value in kwargs.items() if name[:1] != "_"}
        return function(*args, **kwargs)


SPECIAL_CHARACTER = re.compile("""[&<>"']""")


def escape_output(value: Any) -> str:
    """Escape a value that a template writes.

    `markupsafe.escape` wraps each text in `Markup`, which is slow. The parts of a page are joined to plain text anyway.
    """
    if type(value) is Markup or (type(value) is str and not SPECIAL_CHARACTER.search(value)):
        return value
    return str(value) if type(value) is int else escape(value)


Render = Callable[[Context], Iterator[str]]


class FastTemplate(Template):
    """Template whose compiled code, which calls the global `escape`, calls `escape_output` instead.

    It and its blocks return their whole text. Jinja's yield each piece through all templates that a page extends.
    """

    @classmethod
    def from_code(cls, environment: Environment, code: CodeType, *arguments: Any, **options: Any) -> Template:
        template = super().from_code(environment, code, *arguments, **options)
        names = template.root_render_func.__globals__
        names["escape"] = escape_output
        template.root_render_func = _join(template.root_render_func)
        for name, block in template.blocks.items():
            # The code of the block passes its function to `super`, which searches for it among the blocks.
            template.blocks[name] = names[block.__name__] = _join(block)
        return template


def _join(render: Render) -> Render:
    def render_whole(context: Context) -> Iterator[str]:
        yield "".join(render(context))

    return render_whole


class TemplateEnvironment(Environment):
    """Environment with translation, and with the mark of the user in forms."""

    code_generator_class = DirectCalls
    context_class = TemplateContext
    template_class = FastTemplate

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        add_translation(self)
        self.add_extension(PostForms)
        self.add_extension(SharedParts)
        self.add_extension(CacheTag)
        self.globals |= {"form_user": form_user, "page_mark": page_mark, "url": url}

    def make_globals(self, d: MutableMapping[str, Any] | None) -> MutableMapping[str, Any]:
        # All templates share the globals. Jinja copies each of them for each page, which takes as long as a short page.
        return super().make_globals(d) if d else self.globals


class TemplateLoader(FileSystemLoader):
    """Finds `base.html` in the project, in feature packages, then in the framework.

    `opportune/base.html` is always the framework's.

    The project's `base.html` can therefore extend `opportune/base.html` and change one block.
    """

    def __init__(self) -> None:
        super().__init__(TEMPLATE_FOLDERS)
        self._framework = FileSystemLoader(TEMPLATE_FOLDERS[-1])

    def get_source(self, environment: Environment, template: str) -> tuple[str, str, Callable[[], bool]]:
        if template.startswith(FRAMEWORK_PREFIX):
            return self._framework.get_source(environment, template.removeprefix(FRAMEWORK_PREFIX))
        return super().get_source(environment, template)


def with_breaks(text: str) -> Markup:
    """Escape a text. E-mail addresses and URLs in it may continue on the next line after `@`, `/` and full stops."""
    return Markup("<wbr>").join(BREAK.split(text)) if "@" in text or "://" in text else escape(text)
