"""One block of a page by itself, also where the page only extends another and replaces blocks inside of it."""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from jinja2 import Environment, Template, nodes

from opportune.config.project import FRAMEWORK


def render_block(environment: Environment, name: str, block: str, context: Mapping[str, Any]) -> str:
    """Render what the block holds in this template, or in the one that it extends.

    It sees only what is imported and defined in it: the rest of the page is not looked at.

    Raises:
        KeyError: there is no such block.
    """
    template = environment.get_template(name)
    state = template.new_context(dict(context))
    for base in _bases(environment, template):
        for key, render in base.blocks.items():
            state.blocks.setdefault(key, []).append(render)
    try:
        return environment.concat(state.blocks[block][0](state))
    except Exception:  # noqa: BLE001 - raised again below
        environment.handle_exception()  # raises it with the lines of the template


def is_replaced(environment: Environment, name: str, block: str) -> bool:
    """Whether a template of the project says what this block holds, in a page of the framework."""
    template = environment.get_template(name)
    owner = next((each for each in (template, *_bases(environment, template)) if block in each.blocks), None)
    return owner is not None and not str(owner.filename).startswith(str(FRAMEWORK))


def _bases(environment: Environment, template: Template) -> Iterator[Template]:
    """What a template extends, and what that extends, where they are named outright."""
    while parent := _extended(environment, template):
        template = environment.get_template(parent)
        yield template


@lru_cache(maxsize=512)
def _extended(environment: Environment, template: Template) -> str:
    # Jinja makes a new template of a file that has changed, which is asked afresh then.
    assert environment.loader
    assert template.name
    source, _, _ = environment.loader.get_source(environment, template.name)
    extends = environment.parse(source).find(nodes.Extends)
    return extends.template.value if extends and isinstance(extends.template, nodes.Const) else ""
