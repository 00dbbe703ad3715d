"""Code of a models.py: the model, its enums, its link tables and their imports."""

from collections.abc import Iterator

from opportune.cli.scaffold.field_definitions import enum_member
from opportune.cli.scaffold.field_types import FIELDS, TIMESTAMPS, Field
from opportune.cli.scaffold.new_model import NewModel
from opportune.cli.scaffold.source import with_imports
from opportune.cli.scaffold.words import label, snake
from opportune.project.layout import USER_TABLE

ACRONYMS = {"bic", "dns", "ean", "gps", "html", "iban", "ip", "isbn", "issn", "pdf", "rss", "sku", "url", "vat"}
"""Words written in capital letters in labels."""
SQLMODEL = "sqlmodel"


def models_module(model: NewModel) -> str:
    """Return the text of a `models.py` with this model, its enums and its link tables."""
    parts = [_enum_code(field) for field in model.fields if field.type == "enum"]
    parts += [_link_table_code(field, model) for field in model.fields if field.type == "many"]
    parts.append(_model_code(model))
    imports: dict[str, set[str]] = {}
    for module, name in _imports(model):
        imports.setdefault(module, set()).add(name)
    return with_imports("", imports).rstrip() + "\n\n\n" + "\n\n\n".join(parts) + "\n"


def _enum_code(field: Field) -> str:
    members = "\n".join(f'    {enum_member(choice)} = "{choice}"' for choice in field.choices)
    return f"class {field.enum}(StrEnum):\n{members}"


def _link_table_code(field: Field, model: NewModel) -> str:
    assert field.target
    link = model.link_name(field)
    ends = ((model.snake_name, model.table, ""), (snake(field.target.name), field.target.table, ", index=True"))
    lines = [f"class {link}(ModelBase, table=True):", f'    __tablename__ = "{model.feature}_{snake(link)}"', ""]
    for name, target_table, index in ends:
        key = f'Field(foreign_key="{target_table}.id", primary_key=True, ondelete="CASCADE"{index})'
        lines.append(f"    {name}_id: int = {key}")
    return "\n".join(lines)


def _model_code(model: NewModel) -> str:
    bases = ", ".join((_base_class(model)[1], *model.mixins))
    lines = [f"class {model.name}({bases}, table=True):", f'    __tablename__ = "{model.table}"']
    lines += ["    keeps_history = True", ""] if model.keeps_history else [""]
    lines += [_column_code(field, model) for field in model.fields if field.type not in ("many", "team")]
    relationships = [line for field in model.fields for line in _relationship_code(field, model)]
    lines += ["", *relationships] if relationships else []
    if model.title:
        lines += ["", "    def __str__(self) -> str:", f"        return self.{model.title.name}"]
    return "\n".join(lines)


def _base_class(model: NewModel) -> tuple[str, str]:
    """Return the module and the name of the base class."""
    return ("opportune.contrib.teams", "TeamOwned") if model.belongs_to_team else ("opportune.db", "Model")


def _relationship_code(field: Field, model: NewModel) -> Iterator[str]:
    if field.type == "many" and field.target:
        yield f"    {field.name}: list[{field.target.name}] = Relationship(link_model={model.link_name(field)})"
    elif field.type == "reference" and field.has_relationship and field.target:
        annotation = f"{field.target.name} | None" if field.is_optional else field.target.name
        is_ambiguous = [_referenced_table(other) for other in model.fields].count(field.target.table) > 1
        column = f'sa_relationship_kwargs={{"foreign_keys": "{model.name}.{field.column}"}}' if is_ambiguous else ""
        yield f"    {field.name}: {annotation} = Relationship({column})"


def _referenced_table(field: Field) -> str:
    """Return the table that a foreign key refers to; empty for other columns."""
    if field.type == "owner":
        return USER_TABLE
    return field.target.table if field.type == "reference" and field.target else ""


def _column_code(field: Field, model: NewModel) -> str:
    value = _assigned_code(field, model)
    return f"    {field.column}: {_annotation_code(field)}{f' = {value}' if value else ''}"


def _annotation_code(field: Field) -> str:
    name = field.enum if field.type == "enum" else field.spec.annotation
    name = f"Translated[{name}]" if field.is_translated else name
    return f"{name} | None" if field.may_be_none else name


def _assigned_code(field: Field, model: NewModel) -> str:
    """Return the code after the annotation: `Field(max_length=200)`, a plain default, or an empty text."""
    if field.type in TIMESTAMPS:
        changes = ', sa_column_kwargs={"onupdate": utc_now}' if field.type == "updated_at" else ""
        return f"Field(default_factory=utc_now{changes})"
    if field.type in ("json", "list"):
        return f"Field(default_factory={field.spec.empty})"
    default, options = _default_code(field), [*_field_arguments(field, model)]
    is_factory = default.startswith(("lambda", "utc_now"))
    if not (options or is_factory or field.spec.field_function):
        return default
    if default:
        options.insert(0, f"default_factory={default}" if is_factory else f"default={default}")
    arguments = ", ".join([*_positional_arguments(field, model), *options])
    return f"{field.spec.field_function or 'Field'}({arguments})"


def _default_code(field: Field) -> str:
    """Return the default as Python code; empty for required fields."""
    if field.default:
        return field.default
    if field.type in ("bool", "image", "file"):
        return field.spec.empty
    return field.empty_default if field.is_optional else ""


def _positional_arguments(field: Field, model: NewModel) -> list[str]:
    """Return the first arguments of functions such as `slug_field`."""
    arguments = {
        "slug": [f'"{field.source}"'],
        "money": [f'"{field.currency}"'],
        "image": [f'"{model.feature}"', '{"thumb": 120}'],
        "file": [f'"{model.feature}_files"'],
    }
    return arguments.get(field.type, [])


def _field_arguments(field: Field, model: NewModel) -> Iterator[str]:
    if field.target:
        yield f'foreign_key="{field.target.table or model.table}.id"'
        if field.on_delete:
            yield f'ondelete="{field.on_delete}"'
        if "unique" not in field.options:
            yield "index=True"
    yield from _limit_arguments(field)
    yield from (f"{option}=True" for option in ("unique", "index") if option in field.options)
    words = label(field.name).split()
    if {word.lower() for word in words} & ACRONYMS:
        yield f'title="{" ".join(word.upper() if word.lower() in ACRONYMS else word for word in words)}"'


def _limit_arguments(field: Field) -> Iterator[str]:
    """Yield the arguments of `Field` that validate the value."""
    if field.type == "decimal":
        yield f"max_digits={field.digits[0]}, decimal_places={field.digits[1]}"
    if field.spec.is_text and field.is_required and not field.is_translated:
        yield "min_length=1"
    if field.length:
        yield f"max_length={field.length}"
    yield from (f"{name}={value}" for name, value in (("ge", field.minimum), ("le", field.maximum)) if value)


def _imports(model: NewModel) -> Iterator[tuple[str, str]]:
    """Yield the modules and names that the code of a model uses."""
    yield _base_class(model)
    yield from (("opportune.db", mixin) for mixin in model.mixins)
    for field in model.fields:
        if field.type == "many":
            yield from ((SQLMODEL, "Relationship"), (SQLMODEL, "Field"), ("opportune.db", "ModelBase"))
        elif field.type != "team":
            yield from _imports_of_column(field, _assigned_code(field, model))


def _imports_of_column(field: Field, assigned_code: str) -> Iterator[tuple[str, str]]:
    if field.type == "enum":
        yield "enum", "StrEnum"
    elif field.spec.module:
        yield field.spec.module, field.spec.annotation
    if field.is_translated:
        yield FIELDS, "Translated"
    if field.spec.field_function:
        yield FIELDS, field.spec.field_function
    if field.type == "reference" and field.has_relationship:
        yield SQLMODEL, "Relationship"
    if field.is_account:
        yield "opportune.accounts", "User"
    if assigned_code.startswith("Field("):
        yield SQLMODEL, "Field"
    if "utc_now" in assigned_code:
        yield "opportune.db", "utc_now"
    if "Decimal(" in assigned_code:
        yield "decimal", "Decimal"
