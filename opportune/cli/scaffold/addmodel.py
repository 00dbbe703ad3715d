"""Add a model to a feature: table, pages, API, admin and tests.

You can change everything that it writes.

\b
Types                            options of the type
str text markdown                a length: title:str:120; translated: a text in each language
int float decimal money          min=0 max=5; digits: decimal:8,3; a currency: money:USD
bool date datetime time
enum                             choices: status:enum:draft,published
email url phone country
slug                             source field: slug:slug:title
image file json list
Author books.Author              reference to a model; cascade deletes the rows with it
account                          any user: customer:account; deletes the rows with the user, unless optional
many                             many-to-many, with a model: tags:many:Tag
owner                            the user who adds the row: owner, or user:owner
team                             the team of that user, if teams are installed
created_at updated_at            needs no type

\b
Options      unique  index  optional  default=VALUE (also default=today, default=now)
Fields without optional or default are required. Nothing here needs quotes in a shell.
"""

from collections.abc import Sequence
from typing import Annotated

import typer

from opportune.cli.output import say, say_next
from opportune.cli.scaffold.installed import one_at_a_time
from opportune.cli.scaffold.model_files import add_model
from opportune.cli.scaffold.new_model import ModelRequest, NewModel
from opportune.project.layout import PROJECT

FIELDS_HELP = "NAME:TYPE[:OPTION]…, such as title:str:120:unique author:Author status:enum:draft,published."
LEVELS = "anyone, signed-in, permitted (by a group) or owner"

Read = Annotated[
    str, typer.Option(help=f"Users who may read rows: {LEVELS}. [default: owner if there is one, else permitted]")
]
Write = Annotated[str, typer.Option(help="Users who may write rows, with the same choices and default.")]
Address = Annotated[str, typer.Option(help="Address of the pages. [default: the plural of the name, such as /books]")]
Icon = Annotated[
    str,
    typer.Option(help="Icon in the navigation and the admin, from tabler.io/icons. [default: guessed from the name]"),
]
Group = Annotated[str, typer.Option(help="Group that gets all permissions for the rows.")]
Navigation = Annotated[bool, typer.Option(help="Add a link to the navigation.")]
SoftDelete = Annotated[bool, typer.Option("--soft-delete", help="Move deleted rows to a trash, with Undo.")]
Versioned = Annotated[bool, typer.Option("--versioned", help="Keep each change of a row as a version.")]
History = Annotated[bool, typer.Option("--history", help="Record changes in the audit log, also outside the admin.")]


def command(
    feature: Annotated[str, typer.Argument(help="Feature to extend: a folder of app/.")],
    name: Annotated[str, typer.Argument(help="Name of the model in the singular, such as Book.")],
    fields: Annotated[list[str] | None, typer.Argument(help=FIELDS_HELP)] = None,
    read: Read = "",
    write: Write = "",
    path: Address = "",
    icon: Icon = "",
    group: Group = "",
    navigation: Navigation = True,
    soft_delete: SoftDelete = False,
    versioned: Versioned = False,
    history: History = False,
) -> None:
    options = (read, write, path, icon, group, navigation, soft_delete, versioned, history)
    with one_at_a_time(PROJECT):
        model, manual_edits = add_model(PROJECT, ModelRequest(feature, name, fields or [], *options))
    say(f"Added {name} to app/{feature}, with tests and a migration.")
    for edit in manual_edits:
        print(f"Add by hand to {edit}.")
    print_next_steps(model)


def print_next_steps(model: NewModel, first: Sequence[str] = ()) -> None:
    say_next(*first, "migrate", f"test tests/{model.feature}", "runserver")
    say(f"The pages are at {model.path}.")
