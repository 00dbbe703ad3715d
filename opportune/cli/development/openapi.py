"""Write the OpenAPI document of the site's API, or a client for it.

Without options, the document is printed.
"""

import json
import re
import subprocess
from collections import Counter
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer

from opportune.cli.output import print_json, say
from opportune.cli.process import find_program, last_line
from opportune.errors import OperatorError
from opportune.project.modules import site_application
from opportune.project.text_files import write_text
from opportune.web.errors.openapi import operations


class Client(StrEnum):
    TYPESCRIPT = "typescript"
    PYTHON = "python"


GENERATORS = {
    Client.TYPESCRIPT: "npx --yes --package=@hey-api/openapi-ts@0.95.0 --package=typescript@5 -- openapi-ts"
    " --input={document} --output={folder}",
    Client.PYTHON: "uv tool run openapi-python-client==0.29.1 generate --meta=none --overwrite"
    " --path={document} --output-path={folder}",
}
"""Commands that generate clients. They install the generator on the first run."""
GENERATED_FILES = {Client.TYPESCRIPT: "client.gen.ts", Client.PYTHON: "client.py"}
"""File that every client has. A folder without it, but with other files, is not overwritten."""
INSTALL_HINTS = {"npx": "Install Node.js 20 or newer.", "uv": "Install uv: pip install uv"}
"""Advice if the program of a command is missing."""


def command(
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="PATH", help="File of the document, or folder of the client.", show_default=False
        ),
    ] = None,
    client: Annotated[
        Client | None, typer.Option(help="Generate a client in this language.", show_default=False)
    ] = None,
) -> None:
    app = site_application()
    document = {**app.openapi(), "servers": [{"url": app.state.settings.base_url}]}
    _require_distinct_names(document)
    if client:
        _generate_client(client, document, output or Path(f"{client}_client"))
    elif output:
        _write_document(document, output)
        say(f"Wrote {output}: {len([*operations(document)])} operations.")
    else:
        print_json(document)


def _require_distinct_names(document: dict[str, Any]) -> None:
    """Check that a client can have a function for each operation, and a class for each schema."""
    ids = Counter(operation.get("operationId", "") for operation in operations(document))
    if name := next((name for name, count in ids.items() if name and count > 1), ""):
        raise OperatorError(f"Two operations are called {name}. Rename one function, or give it an operation_id.")
    # FastAPI adds the module to the names of schemas that are not unique, such as app__books__schemas__Event.
    for name in document.get("components", {}).get("schemas", {}):
        if match := re.fullmatch(r"[a-z_]\w*__(\w+)", name):
            raise OperatorError(f"Several schemas are called {match[1]}. Rename all but one: {name}.")


def _write_document(document: dict[str, Any], path: Path) -> None:
    try:
        write_text(path, json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    except OSError as error:
        raise OperatorError(f"{path} cannot be written: {error.strerror}.") from None


def _refuse_other_files(client: Client, folder: Path) -> None:
    """Raise OperatorError if the folder has files and none of them is of an earlier client."""
    is_empty = not folder.exists() or (folder.is_dir() and not any(folder.iterdir()))
    if not is_empty and not (folder / GENERATED_FILES[client]).is_file():
        raise OperatorError(f"{folder} exists and is not a {client} client. Name a new folder with --output.")


def _generate_client(client: Client, document: dict[str, Any], folder: Path) -> None:
    """Generate a client in a folder, or replace an earlier one."""
    _refuse_other_files(client, folder)
    program, *arguments = GENERATORS[client].split()
    path = find_program(program)
    if path is None:
        raise OperatorError(f"{program} is not installed. {INSTALL_HINTS[program]}")
    with TemporaryDirectory() as temporary:
        file = Path(temporary, "openapi.json")
        _write_document(document, file)
        options = [argument.format(document=file, folder=folder) for argument in arguments]
        result = subprocess.run([path, *options], text=True, capture_output=True, check=False)
    if result.returncode or not (folder / GENERATED_FILES[client]).is_file():
        reason = last_line(result.stderr.strip() or result.stdout)
        raise OperatorError(f"The client was not generated. {program} says: {reason}")
    say(f"Generated the {client} client in {folder}.")
