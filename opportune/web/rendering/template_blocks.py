"""Blocks of templates and of their parents: rendering one, listing their names, and finding replaced ones."""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, Template, nodes

from opportune.project.layout import FRAMEWORK


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


def block_names(environment: Environment, name: str) -> frozenset[str]:
    """Return the names of the blocks of a template and of its parents."""
    blocks = frozenset[str]()
    names = set[str]()
    while name and name not in names:  # a template may extend itself by mistake
        names.add(name)
        own_blocks, name = _blocks_and_parent(environment, source_of(environment, name))
        blocks |= own_blocks
    return blocks


@lru_cache(maxsize=64)
def _blocks_and_parent(environment: Environment, source: str) -> tuple[frozenset[str], str]:
    tree = environment.parse(source)
    extends = tree.find(nodes.Extends)
    parent = extends.template.value if extends and isinstance(extends.template, nodes.Const) else ""
    return frozenset(block.name for block in tree.find_all(nodes.Block)), parent


def is_replaced(environment: Environment, name: str, block: str) -> bool:
    """Return whether a project template overrides a block of a framework page."""
    template = environment.get_template(name)
    templates = (template, *_parent_templates(environment, template))
    owner = next((candidate for candidate in templates if block in candidate.blocks), None)
    return owner is not None and not Path(owner.filename or "").is_relative_to(FRAMEWORK)


def _parent_templates(environment: Environment, template: Template) -> Iterator[Template]:
    """Yield the parents of a template, up to one whose name is an expression."""
    while parent := _parent_name(environment, template):
        template = environment.get_template(parent)
        yield template


@lru_cache(maxsize=512)
def _parent_name(environment: Environment, template: Template) -> str:
    # Jinja creates a new Template for a changed file, so the cached name is never outdated.
    assert template.name
    return _blocks_and_parent(environment, source_of(environment, template.name))[1]


def source_of(environment: Environment, name: str) -> str:
    """Return the source of a template.

    Raises:
        TemplateNotFound: No template has this name.
    """
    assert environment.loader
    return environment.loader.get_source(environment, name)[0]
