"""Add a model to a feature: table, pages, API, admin, tests.

Everything that it writes is ready to be changed.

\b
Types                            what follows them
str text markdown                a length: title:str:120
int float decimal money          min=0 max=5; digits: decimal:8,3; a currency: money:USD
bool date datetime time
enum                             the choices: status:enum:draft,published
email url phone country
slug                             the field that it is made of: slug:slug:title
image file json list
Author books.Author              cascade: the rows go with theirs
account                          a user: customer:account; rows go with it, unless optional
many                             the model: tags:many:Tag
owner                            the person who adds a row, alone: owner, or user:owner
team                             the team that they are in, alone; where teams are installed
created_at updated_at            alone

\b
Options      unique  index  optional  default=VALUE (also default=today, default=now)
Without optional or default a field is required. Nothing here needs quotes in a shell.
"""

from collections.abc import Sequence
from typing import Annotated

import typer

from opportune.cli.output import say
from opportune.cli.scaffold.adding import Request, add_model
from opportune.cli.scaffold.model import NewModel
from opportune.config.project import PROJECT

FIELDS_HELP = "NAME:TYPE[:OPTION]…, such as title:str:120:unique author:Author status:enum:draft,published."
WHO = "anyone, signed-in, permitted (whom a group grants it), owner"

Read = Annotated[
    str, typer.Option(help=f"Who may read its rows: {WHO}. [default: owner if it has one, else permitted]")
]
Write = Annotated[str, typer.Option(help="Who may write them: the same.")]
Path = Annotated[str, typer.Option(help="The address of its pages. [default: of its name, /books]")]
Icon = Annotated[str, typer.Option(help="Of the navigation and the admin: a name of tabler.io/icons.")]
Group = Annotated[str, typer.Option(help="A group that may do everything with its rows.")]
Navigation = Annotated[bool, typer.Option(help="Whether the navigation leads to its pages.")]

ByHand = Annotated[bool, typer.Option("--by-hand", help="Write its schemas, routes and templates out.")]


def command(
    feature: Annotated[str, typer.Argument(help="The feature that it becomes a part of: a folder of app/.")],
    name: Annotated[str, typer.Argument(help="What one row is, such as Book.")],
    fields: Annotated[list[str], typer.Argument(help=FIELDS_HELP)],
    read: Read = "",
    write: Write = "",
    path: Path = "",
    icon: Icon = "point",
    group: Group = "",
    navigation: Navigation = True,
    by_hand: ByHand = False,
) -> None:
    model, places = add_model(
        PROJECT, Request(feature, name, fields, read, write, path, icon, group, navigation, by_hand)
    )
    say(f"{name} is in app/{feature}, with its tests and a migration.")
    for place in places:
        print(f"Add by hand to {place}.")
    tell(model)


def tell(model: NewModel, first: Sequence[str] = ()) -> None:
    """Print the next steps."""
    say("Next:")
    for step in (*first, "migrate", f"test tests/{model.feature}", "runserver"):
        say(f"  python3 oppman.py {step}")
    say(f"Its pages are at {model.path}.")
