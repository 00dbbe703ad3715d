"""A model whose schemas, routes and templates are written out, instead of made by the CRUD layer."""

import re
from pathlib import Path

from opportune.cli.scaffold.fields import OWNERS, STAMPS, Field
from opportune.cli.scaffold.model import NewModel, filled
from opportune.cli.scaffold.model_code import annotation_of, default_of, limits_of, title_of, title_words
from opportune.cli.scaffold.module_imports import with_imports
from opportune.cli.scaffold.source import MAX_LINE_LENGTH
from opportune.cli.scaffold.words import label
from opportune.errors import OperatorError

TEMPLATES = ("list", "detail", "form", "delete")
PLAIN = {"str": "str", "text": "str", "markdown": "str", "email": "str", "url": "str", "phone": "str", "country": "str"}
PLAIN |= {"slug": "str", "money": "Decimal", "list": "list[str]", "json": "dict[str, Any] | list[Any]"}
"""Types in API responses that differ from the model's."""
PLACES = {"int": "0", "float": "0", "decimal": "Decimal(0)", "money": "Decimal(0)"}
PLACES |= {"date": "date.min", "datetime": "datetime.min", "time": "time.min"}
"""Placeholders for required values that a change leaves out; they are not read."""
SHOWN = {"markdown": " | markdown", "datetime": " | time", "created_at": " | time", "updated_at": " | time"}


def refuse_by_hand(model: NewModel) -> None:
    """Raise OperatorError for what is more than rows of what somebody types."""
    for each in model.fields:
        if each.target or each.type in ("image", "file", "datetime"):
            raise OperatorError(
                f"{each.name}: --by-hand writes out texts, numbers, days and choices; rows that are pointed at, files "
                "and moments are for the CRUD layer (docs/crud.md). Leave --by-hand out."
            )
    if title_of(model.fields) is None:
        raise OperatorError("--by-hand wants a str that says what a row is called, such as title:str.")
    if model.write == "owner" != model.read:
        raise OperatorError("--by-hand with an owner is for rows that nobody else reads: leave --read out.")


def code_by_hand(model: NewModel, router: str) -> dict[str, str]:
    """The modules that take the place of those of the CRUD layer, by file."""
    words = _words(model, router)
    files = {name: filled(f"hand_{name}", words) for name in ("schemas.py", "dependencies.py", "pages.py", "api.py")}
    if not model.slug:
        files = {name: _with_import(text, name, {"opportune.db": {"RowId"}}) for name, text in files.items()}
    files["pages.py"] = with_imports(files["pages.py"], {f"app.{model.feature}.models": {model.name}})
    files["schemas.py"] = with_imports(files["schemas.py"], _schema_imports(model))
    return files


def _with_import(text: str, name: str, imports: dict[str, set[str]]) -> str:
    return with_imports(text, imports) if name in ("pages.py", "api.py") else text


def with_schemas(service: str, model: NewModel) -> str:
    """The data layer with the schemas that are written out."""
    names = [f"{model.name}{kind}" for kind in ("Create", "Update", "Read", "Filter")]
    options = ("create_schema", "update_schema", "read_schema", "filter_schema")
    lines = [f"    {option} = {name}" for option, name in zip(options, names, strict=True)]
    kept = [line for line in service.rstrip().splitlines() if not line.startswith("    filters = ")]
    text = "\n".join([*kept, *lines]) + "\n"
    return with_imports(text, {f"app.{model.feature}.schemas": set(names)})


def templates_by_hand(model: NewModel, project: Path) -> dict[Path, str]:
    """Its pages."""
    words, folder = _words(model, "router"), project / "templates" / model.feature
    return {folder / f"{model.thing}_{name}.html": filled(f"hand_{name}.html", words) for name in TEMPLATES}


def _words(model: NewModel, router: str) -> dict[str, str]:
    schemas = [each for each in model.fields if each.is_sent and each.type != "slug"]
    required = [each for each in schemas if each.is_required]
    sorts = as_names([each.name for each in model.fields if each.kind.is_sorted])
    return model.words | {
        "router": router,
        "thing": model.thing,
        "things": model.things,
        "one": label(model.thing).lower(),
        "key": model.key,
        "column": model.words["key"],
        "key_type": "str" if model.slug else "RowId",
        "list_signature": _signature(
            f"list_{model.things}",
            f"request: Request, {model.things}: Read{model.plural}, wanted: Annotated[{model.name}Filter, Query()]",
        ),
        "may_change": f'{model.things}.may("edit")',
        "get": f"{model.things}.get({model.key})",
        "create": "\n".join(f"    {each.name}: {_sent(each, default_of(each))}" for each in schemas),
        "update": "\n".join(f"    {each.name}: {_sent(each, _place(each))}" for each in required),
        "read": "\n".join(f"    {each.name}: {_answered(each)}" for each in model.fields if each.type not in OWNERS),
        "sort": f'    sort: Annotated[str, SortBy({sorts})] = ""' if sorts else "",
        "heads": "\n".join(_head(model, name) for name in model.columns()),
        "cells": "\n".join(_cell(model, name) for name in model.columns()),
        "fields": "\n".join(_shown(model, each) for each in model.fields if each.type not in (*OWNERS, "slug")),
    }


def _signature(name: str, arguments: str) -> str:
    line = f"async def {name}({arguments}) -> Response:"
    return line if len(line) <= MAX_LINE_LENGTH else f"async def {name}(\n    {arguments}\n) -> Response:"


def as_names(names: list[str]) -> str:
    """Texts with commas."""
    return ", ".join(f'"{name}"' for name in names)


def _sent(field: Field, default: str) -> str:
    if field.type in ("json", "list"):
        return f"{field.kind.annotation} = Field(default_factory={field.kind.empty})"
    is_made = default.startswith(("lambda", "utc_now"))
    first = [f"default_factory={default}" if is_made else default] if default else []
    more = [*limits_of(field), *title_words(field)]
    annotation = annotation_of(field)
    if more or is_made:
        return f"{annotation} = Field({', '.join([*first, *more])})"
    return f"{annotation} = {default}" if default else annotation


def _place(field: Field) -> str:
    return f"next(iter({field.enum}))" if field.type == "enum" else PLACES.get(field.type, '""')


def _answered(field: Field) -> str:
    if field.type in STAMPS:
        return "datetime"
    plain = PLAIN.get(field.type, annotation_of(field).removesuffix(" | None"))
    return f"{plain} | None" if annotation_of(field).endswith(" | None") else plain


def _schema_imports(model: NewModel) -> dict[str, set[str]]:
    imports: dict[str, set[str]] = {"typing": {"Annotated"}, "pydantic": {"Field"}}
    code = filled("hand_schemas.py", _words(model, "router"))
    for each in model.fields:
        if each.type == "enum":
            imports.setdefault(f"app.{model.feature}.models", set()).add(each.enum)
        elif each.is_sent and each.type != "slug" and each.kind.module and each.kind.annotation not in ("Line", "Text"):
            imports.setdefault(each.kind.module, set()).add(each.kind.annotation)
    found = {"datetime": ("date", "datetime", "time"), "decimal": ("Decimal",), "typing": ("Any",)}
    found |= {"opportune.text": ("Text",), "opportune.pagination": ("SortBy",), "opportune.db": ("utc_now",)}
    for module, names in found.items():
        imports.setdefault(module, set()).update(name for name in names if re.search(rf"[:=\[ (]{name}\b(?!=)", code))
    return {module: names for module, names in imports.items() if names}


def _field(model: NewModel, name: str) -> Field:
    return next(each for each in model.fields if each.name == name)


def _label(field: Field) -> str:
    named = next(title_words(field), "")
    return named.removeprefix('title="').removesuffix('"') or field.label


def _value(model: NewModel, field: Field) -> str:
    value = f"{model.thing}.{field.name}"
    if field.type == "bool":
        return f'{{{{ "Yes" if {value} else "No" }}}}'
    if field.type == "list":
        return f'{{{{ {value} | join(", ") }}}}'
    if field.type == "json":
        return f"{{{{ {value} | tojson }}}}"
    shown = f'| money("{field.currency}")' if field.type == "money" else SHOWN.get(field.type, "").strip()
    if annotation_of(field).endswith("None"):
        return f'{{{{ {value} {shown} if {value} is not none else "" }}}}'.replace("  ", " ")
    return f"{{{{ {value} {shown} }}}}".replace("  ", " ")


def _head(model: NewModel, name: str) -> str:
    field = _field(model, name)
    if field.kind.is_sorted:
        return f'          {{{{ sort_head(wanted, "{name}", "{_label(field)}", request.url) }}}}'
    return f'          <th scope="col">{_label(field)}</th>'


def _cell(model: NewModel, name: str) -> str:
    field = _field(model, name)
    shown = _value(model, field)
    if name != model.columns()[0]:
        return f'          <td data-label="{_label(field)}">{shown}</td>'
    address = f"{model.path}/{{{{ {model.thing}.{model.words['key']} }}}}"
    return f'          <td class="leads" data-label="{_label(field)}"><a href="{address}">{shown}</a></td>'


def _shown(model: NewModel, field: Field) -> str:
    shown = f'<dd class="col-sm-9 text-break">{_value(model, field)}</dd>'
    return f'    <dt class="col-sm-3">{_label(field)}</dt>\n    {shown}'
