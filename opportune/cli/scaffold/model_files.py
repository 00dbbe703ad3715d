"""Files of a new model in its feature. All are prepared in memory, so that an error changes nothing."""

from collections.abc import Iterator, Mapping
from functools import partial
from itertools import chain, count
from pathlib import Path

from opportune.admin.model_icons import guess_icon
from opportune.cli.scaffold.access import with_deletion_conflict, with_model_rows
from opportune.cli.scaffold.feature_file import lists_views, register_model
from opportune.cli.scaffold.feature_names import require_feature_folder
from opportune.cli.scaffold.file_changes import FileTexts, replace_files, write_files
from opportune.cli.scaffold.installed import INSTALLED
from opportune.cli.scaffold.migration import draft_creation, feature_names
from opportune.cli.scaffold.model_code import models_module
from opportune.cli.scaffold.model_request import plan_model
from opportune.cli.scaffold.model_tests import tests_module
from opportune.cli.scaffold.new_model import ModelRequest, NewModel, render_skeleton, tuple_code
from opportune.cli.scaffold.source import UnexpectedStructure, bound_names, merge_modules
from opportune.db.migrations.graph import MigrationGraph
from opportune.db.migrations.new_migration import write_migration
from opportune.errors import OperatorError
from opportune.project.layout import PACKAGE

CRUD_MODULES = ("service.py", "pages.py", "api.py", "admin.py")


def add_model(project: Path, request: ModelRequest) -> tuple[NewModel, list[str]]:
    """Add a model to an existing feature. Return the model, and the edits that the user has to make by hand."""
    folder = project / PACKAGE / request.feature
    require_feature_folder(project, request.feature)
    if (folder / "models").is_dir():
        raise OperatorError(
            f"{PACKAGE}/{request.feature}/models is a folder, but addmodel needs a models.py. Add the model by hand."
        )
    model = plan_model(project, request)
    return model, write_model(project, model, {})


def write_model(
    project: Path, model: NewModel, other_texts: Mapping[Path, str], *, has_migration: bool = True
) -> list[str]:
    """Write the files of a model, its migration and other texts, all or none. `makemigrations` may write the migration.

    Return edits that the user has to make by hand, because a file has an unexpected structure.
    """
    texts = FileTexts(project, dict(other_texts))
    add_model_texts(texts, model)
    if not has_migration:
        replace_files(texts.changed, project)
        return texts.manual_edits
    graph = MigrationGraph(feature_names(texts[project / INSTALLED]))
    write_with_migration(texts.changed, texts, model, graph)
    return texts.manual_edits


def write_with_migration(files: Mapping[Path, str], texts: FileTexts, model: NewModel, graph: MigrationGraph) -> None:
    """Write files and the migration of the model that `texts` contains, all or none."""
    models = texts.project / PACKAGE / model.feature / "models.py"
    migration = draft_creation(model.feature, texts[models], models, model.tables, graph)
    with write_files(files, graph.folder(model.feature)):
        write_migration(graph, migration)


def add_model_texts(texts: FileTexts, model: NewModel) -> None:
    folder = texts.project / PACKAGE / model.feature
    trees = [texts.parse(folder / file).tree for file in ("pages.py", "api.py")]
    has_router = any("router" in bound_names(tree) for tree in trees)
    router = f"{model.snake_plural}_router" if has_router else "router"
    texts.change(folder / "models.py", partial(merge_modules, addition=models_module(model)))
    for file in CRUD_MODULES:
        code = render_skeleton(file, _placeholders_for(model, file, router))
        texts.change(folder / file, partial(merge_modules, addition=code))
    _register(texts, folder / "feature.py", model, router)
    _add_tests(texts, model)
    for package in (folder, texts.project / "tests" / model.feature):
        if not (package / "__init__.py").exists():
            texts[package / "__init__.py"] = ""


def _register(texts: FileTexts, path: Path, model: NewModel, router: str) -> None:
    """Register the model in its feature.py, or tell the user which owner column to add there."""
    package = f"{PACKAGE}.{model.feature}"

    def register(text: str) -> str:
        views = f"[admin.{model.name}Admin]" if lists_views(text) else f'"{package}.admin"'
        text = register_model(text, package, [*_feature_arguments(model, router), f"admin=Admin({views})"])
        if not model.personal_columns:
            return text
        columns = ", ".join(f"models.{model.name}.{column}" for column in model.personal_columns)
        personal_data = f'PersonalData(summary="{model.personal_summary}", owners=[{columns}])'
        try:
            return register_model(text, package, [f"accounts=Accounts(personal_data={personal_data})"])
        except UnexpectedStructure:  # the project creates it in another module
            texts.manual_edits.append(f"the owners of personal_data: {columns.replace('models.', '')}")
            return text

    texts.change(path, register)


def _add_tests(texts: FileTexts, model: NewModel) -> None:
    """Add a test module and the expected responses to each role."""
    tests = texts.project / "tests" / model.feature
    others = (f"test_{model.snake_name}_rows{number or ''}.py" for number in count())
    names = chain((f"test_{model.snake_plural}.py",), others)
    new_file = next(tests / name for name in names if not (tests / name).exists())
    texts[new_file] = tests_module(model)
    table = tests / "access.txt"
    texts[table] = with_model_rows(texts[table], model)
    # Rows of these models cannot be deleted while a row of the new model exists.
    for target in (field.target for field in model.fields if field.type == "reference" and not field.on_delete):
        if target and target.path and not target.has_trash:
            table = texts.project / "tests" / target.feature / "access.txt"
            texts[table] = with_deletion_conflict(texts[table], target.path, belongs_to_team=target.belongs_to_team)


def _placeholders_for(model: NewModel, file: str, router: str) -> dict[str, str]:
    """Return the placeholder values for the template of a file."""
    placeholders = model.placeholders | {"router": router, "permission_summary": model.permission_summary()}
    if file == "service.py":
        options = [*model.service_options()] or ["pass"]
        placeholders["crud"] = "Crud, Permission" if model.permissions else "Crud"
        placeholders["options"] = "\n".join(f"    {line}" for line in options)
    elif file == "pages.py":
        placeholders["columns"] = tuple_code(model.columns())
    elif file == "admin.py":
        placeholders["options"] = "\n".join(f"    {line}" for line in model.admin_options())
    return placeholders


def _feature_arguments(model: NewModel, router: str) -> Iterator[str]:
    """Yield the arguments of `Feature(…)` for the model, except those for the admin and for personal data."""
    yield f"models=[{', '.join(f'models.{name}' for name in (model.name, *model.link_names))}]"
    yield f"pages=pages.{router}"
    yield f"api=api.{router}"
    if model.navigation:
        yield f"site=Site(navigation=[{navigation_link(model)}])"
    if model.group:
        yield f'accounts=Accounts(groups={{"{model.group}": {{"{model.placeholders["identity"]}": "*"}}}})'


def navigation_link(model: NewModel) -> str:
    """Return the code of a navigation link, limited to users who may read the list."""
    permission = f', permission=("{model.placeholders["identity"]}", "list")'
    condition = {"anyone": "", "permitted": permission}.get(model.read, ", signed_in=True")
    return f'Link("{model.label}", "{model.path}", "{model.icon or guess_icon(model.name)}"{condition})'
