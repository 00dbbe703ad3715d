"""The steps of an import, as a browser takes them."""

import re
from html import unescape

from httpx2 import AsyncClient, Response

CHOICE = re.compile(r'<(?:select|input)[^>]* name="(column|format)"(?: value=""|.*?</select>)', re.DOTALL)
FAULT = re.compile(r"<li>(?:Lines?|Rows?) ([^:]+): (.*?)</li>")
SELECTED = re.compile(r'value="([^"]*)" selected')


async def upload_file(
    admin: AsyncClient, path: str, content: str | bytes, name: str = "rows.csv", **choices: str
) -> Response:
    """Upload a file and accept the suggested columns, apart from choices such as `column_2="name"`."""
    response = await admin.post(path, files={"file": (name, content)})
    if response.status_code != 303:
        return response
    page = await admin.get(response.headers["location"], params={"step": "columns"})
    return await choose_columns(admin, page, **choices)


async def open_columns(admin: AsyncClient, path: str, content: str | bytes, name: str = "a.csv") -> Response:
    """Upload a file, and return the page to which the browser is redirected."""
    return await admin.get((await admin.post(path, files={"file": (name, content)})).headers["location"])


async def choose_columns(admin: AsyncClient, page: Response, action: str = "columns", **choices: str) -> Response:
    data: dict[str, str | list[str]] = {**read_choices(page), "action": action}
    for key, value in choices.items():
        option, _, number = key.partition("_")
        data[option] = _replaced([*data[option]], int(number), value) if number else value
    response = await admin.post(page.url, data=data)
    return await admin.get(response.headers["location"]) if response.status_code == 303 else response


def _replaced(values: list[str], number: int, value: str) -> list[str]:
    return [*values[: number - 1], value, *values[number:]]


def read_choices(page: Response) -> dict[str, list[str]]:
    """Return the selected fields and formats of the page with the columns."""
    choices: dict[str, list[str]] = {"column": [], "format": []}
    for match in CHOICE.finditer(page.text):
        choices[match[1]].append(unescape(next(iter(SELECTED.findall(match[0])), "")))
    return choices


async def confirm_preview(admin: AsyncClient, preview: Response) -> Response:
    assert preview.status_code == 200, extract_text(preview)
    return await admin.post(preview.url.path, data={"action": "import"})


def extract_text(page: Response) -> str:
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", "", page.text)))


def read_faults(page: Response) -> dict[int, str]:
    """Return the messages about lines, by line."""
    faults: dict[int, str] = {}
    for lines, message in FAULT.findall(page.text):
        for first, last in re.findall(r"(\d+)(?:\N{EN DASH}(\d+))?", lines):
            faults |= dict.fromkeys(range(int(first), int(last or first) + 1), unescape(message))
    return faults
