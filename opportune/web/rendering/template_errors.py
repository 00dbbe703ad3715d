"""Checks of the project's templates, to find errors before a page is requested."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import lru_cache
from itertools import chain
from pathlib import Path

from jinja2 import Environment, TemplateNotFound, TemplateSyntaxError, nodes

from opportune.errors.renamed_names import find_template
from opportune.errors.suggestions import did_you_mean
from opportune.feature import Feature
from opportune.project.layout import PACKAGE, PROJECT, TEMPLATE_FOLDERS, display_path
from opportune.web.rendering.template_blocks import source_of
from opportune.web.rendering.templates import templates
from opportune.web.rendering.words_of_django import replacement_for
from opportune.web.static.files import assets

LIBRARY_PREFIX = "sqladmin/"
REFERENCES = (nodes.Extends, nodes.Include, nodes.Import, nodes.FromImport)
CHECKED_NODES = (*REFERENCES, nodes.Getattr, nodes.Call)
"""Types of nodes that are collected in one pass, because walking a tree takes half of the time of parsing it."""


def template_errors(*, only_overrides: bool = False, mails: Environment | None = None) -> Iterator[str]:
    """Yield one line, with the file, for each error in the project's templates.

    Args:
        only_overrides: Only check templates that replace framework templates, on which all pages depend.
        mails: Jinja environment for e-mail templates (`<feature>/mail/…`), which has fewer filters.
    """
    *_, framework = TEMPLATE_FOLDERS
    for path, name in project_templates():
        if (framework / name).is_file() or not only_overrides:
            is_mail = "mail" in name.split("/")[1:-1]
            yield from _find_errors(mails if mails and is_mail else templates.environment, path, name)
        if (new := find_template(name)) and not _is_named_elsewhere(path, name):
            yield f"{display_path(path)} has no effect. It is called {new} now."


def unused_templates() -> Iterator[str]:
    """Yield one line for each template in a folder of the framework that replaces none, and that no code names."""
    *_, framework = TEMPLATE_FOLDERS
    pages = tuple(f"_{page.name}" for page in (framework / "crud").glob("*.html"))
    for path, name in project_templates():
        folder = (framework / name).parent
        existing = [file.relative_to(framework).as_posix() for file in folder.glob("*.html")]
        if folder == framework or not existing:
            continue
        is_known = name in existing or name.endswith(pages) or name.startswith(LIBRARY_PREFIX) or find_template(name)
        if not is_known and not _is_named_elsewhere(path, name):
            yield f"{display_path(path)} replaces no template, and no code names it.{did_you_mean(name, existing)}"


def _is_named_elsewhere(template: Path, name: str) -> bool:
    files = chain((PROJECT / PACKAGE).rglob("*.py"), (path for path, _ in project_templates()))
    return any(name.encode() in file.read_bytes() for file in files if file != template)


def missing_feature_templates(features: Iterable[Feature]) -> Iterator[str]:
    """Yield one line for each missing template that a feature adds to other pages."""
    for feature in features:
        panels = (feature.accounts.profile_panel, feature.site.home_card, *feature.admin.panels)
        names = [panel.template for panel in panels if panel]
        for name in (*names, feature.site.navigation_template):
            if name and not template_exists(templates.environment, name):
                yield f"Feature({feature.name!r}): the template {name} does not exist."


def calls_in_templates(function: str) -> Iterator[tuple[str, Sequence[str]]]:
    """Yield file and arguments of each call of a template function whose arguments are all constants."""
    for path, _ in project_templates():
        with suppress(UnicodeDecodeError, TemplateSyntaxError):  # reported by template_errors
            source = path.read_text(encoding="utf-8")
            if function not in source:
                continue  # parsing is slow
            for call in templates.environment.parse(source).find_all(nodes.Call):
                name = getattr(call.node, "name", getattr(call.node, "attr", ""))
                if name == function:
                    texts = [arg.value for arg in call.args if isinstance(arg, nodes.Const)]
                    if len(texts) == len(call.args):
                        yield f"{display_path(path)}:{call.lineno}", texts


def project_templates() -> Iterator[tuple[Path, str]]:
    """Yield path and name of each template of the project, without backups of editors and files of the system."""
    project, *_ = TEMPLATE_FOLDERS
    for path in sorted(project.rglob("*")):
        if path.is_file() and not path.name.startswith(".") and not path.name.endswith("~"):
            yield path, path.relative_to(project).as_posix()


def _find_errors(environment: Environment, path: Path, name: str) -> Iterator[str]:
    try:
        source = path.read_text(encoding="utf-8")
        tree = environment.parse(source, name, str(path))
        found = [*tree.find_all(CHECKED_NODES)]
        missing = sorted(
            {*_missing_templates(environment, found), *_missing_macros(environment, found), *_missing_assets(found)}
        )
        environment.compile(tree, name, str(path), raw=True)
    except UnicodeDecodeError:
        yield f"{display_path(path)} is not valid UTF-8. Save it in UTF-8."
    except TemplateSyntaxError as error:
        advice = f" Write {new} instead." if (new := replacement_for(str(error))) else ""
        yield f"{display_path(path)}:{error.lineno}: {(error.message or '').rstrip('.')}.{advice}"
    else:
        yield from (f"{display_path(path)}:{line}: the {item}" for line, item in missing)


def _missing_templates(environment: Environment, found: Iterable[nodes.Node]) -> Iterator[tuple[int, str]]:
    for node in found:
        if not isinstance(node, REFERENCES):
            continue
        with suppress(nodes.Impossible):  # the name is an expression
            value = node.template.as_const()
            names = [value] if isinstance(value, str) else value  # Jinja uses the first that exists
            if getattr(node, "ignore_missing", False):
                continue
            if not any(template_exists(environment, name) for name in names):
                yield node.lineno, f"template {' or '.join(names)} does not exist."


def _missing_macros(environment: Environment, found: Sequence[nodes.Node]) -> Iterator[tuple[int, str]]:
    """Yield each macro that a template imports, or calls in an imported template, and that does not exist."""
    requested: list[tuple[int, nodes.Expr, str]] = []
    modules = {node.target: node.template for node in found if isinstance(node, nodes.Import)}
    for node in found:
        match node:
            case nodes.FromImport(template=template, names=names):
                imported = (name if isinstance(name, str) else name[0] for name in names)
                requested += [(node.lineno, template, name) for name in imported]
            case nodes.Getattr(node=nodes.Name(name=module), attr=attribute) if module in modules:
                requested.append((node.lineno, modules[module], attribute))
    for line, template, name in requested:
        if isinstance(template, nodes.Const) and template_exists(environment, template.value):
            exported = {name}
            # The other template has its own report, and a check does not load those of libraries.
            with suppress(TemplateSyntaxError, TemplateNotFound):
                exported = _exported_names(environment, source_of(environment, template.value))
            if name not in exported:
                yield line, f"macro {name} of {template.value} does not exist.{did_you_mean(name, exported)}"


@lru_cache(maxsize=64)  # many templates import the same macros
def _exported_names(environment: Environment, source: str) -> set[str]:
    names = set[str]()
    for node in environment.parse(source).find_all((nodes.Macro, nodes.Import, nodes.Name, nodes.FromImport)):
        match node:
            case nodes.Macro(name=name) | nodes.Import(target=name) | nodes.Name(name=name, ctx="store"):
                names.add(name)
            case nodes.FromImport(names=imported):
                names.update(name if isinstance(name, str) else name[1] for name in imported)
    return names


def template_exists(environment: Environment, name: str) -> bool:
    """Return whether a project, a package or the framework has the template."""
    with suppress(TemplateNotFound):
        return name.startswith(LIBRARY_PREFIX) or bool(source_of(environment, name))
    return False


def _missing_assets(found: Iterable[nodes.Node]) -> Iterator[tuple[int, str]]:
    for node in found:
        match node:
            case nodes.Call(node=nodes.Name(name="asset"), args=[nodes.Const(value=str(name))]):
                try:
                    assets.url(name)
                except FileNotFoundError:
                    yield node.lineno, f"file static/{name} does not exist."
