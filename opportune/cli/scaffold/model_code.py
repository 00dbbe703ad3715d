"""Code of a models.py: the model, its enums, its link tables and their imports."""

from collections.abc import Iterator
from itertools import chain

from opportune.cli.scaffold.field_options import enum_member
from opportune.cli.scaffold.field_types import FIELDS, Code, Imports
from opportune.cli.scaffold.fields import Field
from opportune.cli.scaffold.new_model import NewModel
from opportune.cli.scaffold.source import with_imports
from opportune.cli.scaffold.words import snake

LIMITS = (("ge", "min"), ("le", "max"))
FIELD, RELATIONSHIP = ("sqlmodel", "Field"), ("sqlmodel", "Relationship")


def models_module(model: NewModel) -> str:
    """Return the text of a `models.py` with this model, its enums and its link tables."""
    parts = [_enum_code(field) for field in model.fields if field.type == "enum"]
    parts += [_link_table_code(field, model) for field in model.fields if field.type == "many"]
    parts.append(_model_code(model))
    imports: dict[str, set[str]] = {}
    for module, name in chain.from_iterable(part.imports for part in parts):
        imports.setdefault(module, set()).add(name)
    return with_imports("", imports).rstrip() + "\n\n\n" + "\n\n\n".join(part.text for part in parts) + "\n"


def _enum_code(field: Field) -> Code:
    members = "\n".join(f'    {enum_member(choice)} = "{choice}"' for choice in field.choices)
    return Code(f"class {field.enum}(StrEnum):\n{members}", {("enum", "StrEnum")})


def _link_table_code(field: Field, model: NewModel) -> Code:
    assert field.target
    link = model.link_name(field)
    ends = ((model.snake_name, model.table, ""), (snake(field.target.name), field.target.table, ", index=True"))
    lines = [f"class {link}(ModelBase, table=True):", f'    __tablename__ = "{model.feature}_{snake(link)}"', ""]
    for name, target_table, index in ends:
        key = f'Field(foreign_key="{target_table}.id", primary_key=True, ondelete="CASCADE"{index})'
        lines.append(f"    {name}_id: int = {key}")
    return Code("\n".join(lines), {FIELD, ("opportune.db", "ModelBase")})


def _model_code(model: NewModel) -> Code:
    columns = [_column_code(field, model) for field in model.fields if field.type not in ("many", "team")]
    relationships = [code for field in model.fields for code in _relationship_code(field, model)]
    base = ("opportune.contrib.teams", "TeamOwned") if model.belongs_to_team else ("opportune.db", "Model")
    bases = [base, *(("opportune.db", mixin) for mixin in model.mixins)]
    names = ", ".join(name for _, name in bases)
    lines = [f"class {model.name}({names}, table=True):", f'    __tablename__ = "{model.table}"']
    lines += ["    keeps_history = True", ""] if model.history else [""]
    lines += [column.text for column in columns]
    lines += ["", *(code.text for code in relationships)] if relationships else []
    if model.title:
        lines += ["", "    def __str__(self) -> str:", f"        return self.{model.title.name}"]
    imports = chain.from_iterable(code.imports for code in (*columns, *relationships))
    return Code("\n".join(lines), {*bases, *imports})


def _relationship_code(field: Field, model: NewModel) -> Iterator[Code]:
    if field.type == "many" and field.target:
        link = model.link_name(field)
        yield Code(f"    {field.name}: list[{field.target.name}] = Relationship(link_model={link})", {RELATIONSHIP})
    elif field.type == "reference" and field.has_relationship and field.target:
        annotation = f"{field.target.name} | None" if field.is_optional else field.target.name
        imports = {RELATIONSHIP, ("opportune.accounts", "User")} if field.is_account else {RELATIONSHIP}
        yield Code(f"    {field.name}: {annotation} = Relationship()", imports)


def _column_code(field: Field, model: NewModel) -> Code:
    annotation = _annotation_code(field)
    value = _assigned_code(field, model)
    assignment = f" = {value.text}" if value.text else ""
    text = f"    {field.column}: {annotation.text}{assignment}"
    return Code(text, annotation.imports | value.imports)


def _annotation_code(field: Field) -> Code:
    name = field.enum if field.type == "enum" else field.spec.annotation
    imports: Imports = {(field.spec.module, name)} if field.spec.module else frozenset()
    if field.is_translated:
        name, imports = f"Translated[{name}]", {*imports, (FIELDS, "Translated")}
    return Code(f"{name} | None" if field.may_be_none else name, imports)


def _assigned_code(field: Field, model: NewModel) -> Code:
    """Return the code after the annotation: `Field(max_length=200)`, a plain default, or an empty text."""
    default = field.default
    function = field.spec.function
    options = [*_field_arguments(field, model)]
    if not (options or default.is_factory or function):
        return default
    if default.text:
        option = "default_factory" if default.is_factory else "default"
        options.insert(0, f"{option}={default.text}")
    if function:
        options.insert(0, field.spec.arguments.format(field=field, feature=model.feature))
    imported = (FIELDS, function) if function else FIELD
    return Code(f"{imported[1]}({', '.join(options)})", {*default.imports, imported})


def _field_arguments(field: Field, model: NewModel) -> Iterator[str]:
    if field.target:
        yield f'foreign_key="{field.target.table or model.table}.id"'
        if field.on_delete:
            yield f'ondelete="{field.on_delete}"'
        if "unique" not in field.options:
            yield "index=True"
    if field.type == "updated_at":
        yield 'sa_column_kwargs={"onupdate": utc_now}'
    yield from _limit_arguments(field)
    yield from (f"{option}=True" for option in ("unique", "index") if option in field.options)


def _limit_arguments(field: Field) -> Iterator[str]:
    """Yield the arguments of `Field` that validate the value."""
    if field.type == "decimal":
        yield f"max_digits={field.digits[0]}, decimal_places={field.digits[1]}"
    if field.spec.is_text and field.is_required and not field.is_translated:
        yield "min_length=1"
    if field.length:
        yield f"max_length={field.length}"
    yield from (f"{name}={field.options[option]}" for name, option in LIMITS if option in field.options)
