"""Names of templates, blocks and pages in the project that do not exist, for `oppman.py check`."""

import ast
import re
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import zip_longest
from typing import Any, NamedTuple

from jinja2 import TemplateNotFound, TemplateSyntaxError, nodes

from opportune.cli.development.project_code import Call, calls_in_code
from opportune.cli.development.routes import Row, find_rows
from opportune.config.settings import Settings
from opportune.errors.suggestions import did_you_mean
from opportune.feature import Feature, Finding
from opportune.mail.templates import environment as mail_templates
from opportune.project.installed import installed_features
from opportune.project.layout import display_path
from opportune.project.modules import site_application
from opportune.web.rendering.template_blocks import block_names
from opportune.web.rendering.template_errors import calls_in_templates, project_templates, template_exists
from opportune.web.rendering.templates import templates

ATTRIBUTE = re.compile(
    r"""\s(?:href|(?:form)?action|hx-(?:get|post|put|patch|delete))=(["'])((?>\{\{.*?\}\}|(?!\{\{).)*?)\1"""
)
EXPRESSION = re.compile(r"\{\{.*?\}\}")
ANY = "\0"
"""Part of a path that is known only when the page is rendered."""
ALL_PAGES = {"environment": "development", "debug": True}
"""Settings with which a site has pages that templates link under a condition, such as those for the developer."""
BLOCK_METHODS = ("render_block", "render_block_to_string")
PAGE_METHODS = ("render", "render_to_string", "render_form", *BLOCK_METHODS)


class Reference(NamedTuple):
    location: str
    """File and line."""
    path: str
    """Path of a page, in which `ANY` stands for unknown text."""


def check_references(settings: Settings) -> Iterator[Finding]:
    """Report templates named in code, and links in templates and code, that do not exist."""
    features = installed_features()
    calls = [*calls_in_code(b"render|redirect|RedirectResponse")]
    yield from map(Finding, _missing_templates(calls))
    rows = [*find_rows(site_application(settings.model_copy(update=ALL_PAGES)).routes)]
    yield from map(Finding, _hidden_routes(rows))
    route_names = {row.name for row in rows}
    paths = {row.path for row in rows}
    for location, names in calls_in_templates("url_for"):
        if names and names[0] not in route_names:
            yield Finding(f"{location}: no route is called {names[0]}.{did_you_mean(names[0], route_names)}")
    for location, path in (*_links_in_templates(), *_redirects(calls), *_navigation(features)):
        if path not in paths and not page_exists(path, rows):
            hint = did_you_mean(path, [row.path for row in rows if "GET" in row.methods])
            advice = "Correct it, unless another server has this page."
            yield Finding.warning(f"{location}: no page is at {path.replace(ANY, '…')}.{hint} {advice}")


def page_exists(path: str, rows: Sequence[Row]) -> bool:
    """Return whether a route may serve a path. Parameters and unknown text match any text."""
    parts = re.split("[?#]", path)[0].strip("/").split("/")
    return any(_matches(parts, row.path.strip("/").split("/")) for row in rows)


def _hidden_routes(rows: Sequence[Row]) -> Iterator[str]:
    """Yield a line for each plain path that an earlier route with a parameter takes."""
    earlier: list[Row] = []
    for row in rows:
        if "{" not in row.path:
            for other in (other for other in earlier if _hides(other, row)):
                yield f"{row.methods} {row.path} of {row.origin} is hidden by {other.path}. List its router earlier."
        elif ":" not in row.path:  # a converter accepts only some texts
            earlier.append(row)


def _hides(other: Row, row: Row) -> bool:
    """Return whether an earlier route with a parameter takes requests for the plain path of a row."""
    literal_beginning = other.path.partition("{")[0]
    if not row.path.startswith(literal_beginning):  # saves the slower comparison of the parts
        return False
    common_methods = set(row.methods.split(",")).intersection(other.methods.split(",")) - {"OPTIONS"}
    return bool(common_methods) and page_exists(row.path, [other])


def _matches(parts: Sequence[str], route: Sequence[str]) -> bool:
    for number, (part, pattern) in enumerate(zip_longest(parts, route), 1):
        takes_rest = pattern is not None and (pattern == "…" or ":path}" in pattern)
        is_unknown_rest = part is not None and ANY in part and number == len(parts)
        if takes_rest or is_unknown_rest:
            return True
        if part is None or pattern is None:
            return False
        if "{" not in pattern and ANY not in part and part != pattern:
            return False
    return True


def _missing_templates(calls: Sequence[Call]) -> Iterator[str]:
    for location, function, arguments in calls:
        texts = [text for text in map(_text, arguments) if text and ANY not in text]
        if function == "render_email":
            name = next((text for text in texts if re.fullmatch(r"\w+(/\w+)+", text)), None)
            if name and not template_exists(mail_templates, f"{name}.txt"):
                yield _missing(location, f"{name}.txt")
        elif function in PAGE_METHODS and texts and texts[0].endswith(".html"):
            if not template_exists(templates.environment, texts[0]):
                yield _missing(location, texts[0])
            elif function in BLOCK_METHODS and len(texts) > 1:
                yield from _missing_block(location, *texts[:2])


def _missing(location: str, template: str) -> str:
    return f"{location}: the template {template} does not exist."


def _missing_block(location: str, template: str, block: str) -> Iterator[str]:
    try:
        blocks = block_names(templates.environment, template)
    except (TemplateNotFound, TemplateSyntaxError):  # reported by check_templates
        return
    if block not in blocks:
        yield f"{location}: {template} has no block {block}.{did_you_mean(block, blocks)}"


def _redirects(calls: Sequence[Call]) -> Iterator[Reference]:
    for location, function, arguments in calls:
        if function in ("redirect", "RedirectResponse"):
            path = next(filter(_is_path, map(_text, arguments)), None)
            if path:
                yield Reference(location, path)


def _text(node: ast.AST) -> str:
    """Return the text of a constant or an f-string; empty for other expressions."""
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(value) if isinstance(value, ast.Constant) else ANY for value in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def _navigation(features: Sequence[Feature]) -> Iterator[Reference]:
    for feature in features:
        for link in feature.site.navigation:
            if _is_path(link.path):
                yield Reference(f"Feature({feature.name!r}): Link({str(link.label)!r}, …)", link.path)


def _links_in_templates() -> Iterator[Reference]:
    for file, _ in project_templates():
        text = file.read_text(encoding="utf-8", errors="replace")
        for match in ATTRIBUTE.finditer(text):
            path = EXPRESSION.sub(partial(_render_expression), match[2])
            if _is_path(path) and "{%" not in path:
                line = text.count("\n", 0, match.start(2)) + 1
                yield Reference(f"{display_path(file)}:{line}", path)


def _render_expression(match: re.Match[str]) -> str:
    try:
        output = templates.environment.parse(match[0]).find(nodes.Output)
    except TemplateSyntaxError:  # reported by check_templates
        return ANY
    return "".join(map(_render_node, output.nodes)) if output else ""


def _render_node(node: Any) -> str:
    match node:
        case nodes.Const(value=value) | nodes.TemplateData(data=value):
            return str(value)
        case nodes.Call(node=nodes.Name(name="url"), args=[path]):
            return _render_node(path)
        case nodes.Concat(nodes=parts):
            return "".join(map(_render_node, parts))
        case nodes.Add(left=left, right=right):
            return _render_node(left) + _render_node(right)
    return ANY


def _is_path(text: str) -> bool:
    return text.startswith("/") and not text.startswith(("//", f"/{ANY}"))
