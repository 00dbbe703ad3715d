"""Rendering of one block of a template, including inherited blocks."""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from jinja2 import Environment, Template, nodes

from opportune.config.project import FRAMEWORK


def render_block(environment: Environment, name: str, block: str, context: Mapping[str, Any]) -> str:
    """Render a block of a template or of its parents.

    The block only sees names that it imports or sets, because the rest of the template does not run.

    Raises:
        KeyError: The block does not exist.
    """
    template = environment.get_template(name)
    state = template.new_context(dict(context))
    for parent in _parent_templates(environment, template):
        for key, render in parent.blocks.items():
            state.blocks.setdefault(key, []).append(render)
    try:
        return environment.concat(state.blocks[block][0](state))
    except Exception:  # noqa: BLE001 - raised again below
        environment.handle_exception()  # adds template lines to the traceback


def is_replaced(environment: Environment, name: str, block: str) -> bool:
    """Return whether a project template overrides a block of a framework page."""
    template = environment.get_template(name)
    templates = (template, *_parent_templates(environment, template))
    owner = next((candidate for candidate in templates if block in candidate.blocks), None)
    return owner is not None and not str(owner.filename).startswith(str(FRAMEWORK))


def _parent_templates(environment: Environment, template: Template) -> Iterator[Template]:
    """Yield the parents of a template, up to one whose name is an expression."""
    while parent := _parent_name(environment, template):
        template = environment.get_template(parent)
        yield template


@lru_cache(maxsize=512)
def _parent_name(environment: Environment, template: Template) -> str:
    # Jinja creates a new Template for a changed file, so the cached name is never outdated.
    assert environment.loader
    assert template.name
    source, _, _ = environment.loader.get_source(environment, template.name)
    extends = environment.parse(source).find(nodes.Extends)
    return extends.template.value if extends and isinstance(extends.template, nodes.Const) else ""
