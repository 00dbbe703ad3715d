"""Jinja environment of pages, the admin and e-mails."""

from collections.abc import MutableMapping
from typing import Any

from jinja2 import Environment, pass_context
from jinja2.compiler import CodeGenerator, Frame
from jinja2.nodes import Call, Expr, Filter, Name, Template
from jinja2.runtime import Context
from jinja2.visitor import NodeTransformer

from opportune.web.rendering.static_files import assets
from opportune.web.rendering.translation import TEXT_FILTERS, add_translation

FILTERS_AS_FUNCTIONS = {"asset", *TEXT_FILTERS}


class _CallsToFilters(NodeTransformer):
    """Replaces `_("Books")` by `"Books" | _`, because Jinja calls filters directly and functions with its context."""

    def visit_Call(self, call: Call) -> Expr:
        self.generic_visit(call)
        if not (isinstance(call.node, Name) and call.node.name in FILTERS_AS_FUNCTIONS and call.args):
            return call
        value, *args = call.args
        return Filter(value, call.node.name, args, call.kwargs, call.dyn_args, call.dyn_kwargs, lineno=call.lineno)


class TemplateCompiler(CodeGenerator):
    def visit_Template(self, node: Template, frame: Frame | None = None) -> None:
        super().visit_Template(_CallsToFilters().visit(node), frame)


class TemplateEnvironment(Environment):
    """Environment with translation. Pages take less time than with Jinja's own environment."""

    code_generator_class = TemplateCompiler

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        add_translation(self)

    def make_globals(self, d: MutableMapping[str, Any] | None) -> MutableMapping[str, Any]:
        # All templates share the globals. Jinja copies each of them for each page, which takes as long as a short page.
        return super().make_globals(d) if d else self.globals


@pass_context  # Jinja calls other filters only once if their values are constant
def asset_url(_context: Context, name: str) -> str:
    return assets.url(name)
