"""Generated code is wrapped like ruff does it, without ruff."""

import subprocess
import sys

from opportune.cli.scaffold.line_wrapping import split_items, wrap_lines

LONG, LONGER = "a" * 45, "b" * 60
CODE = f'''\
async def {LONG}(client: AsyncClient, {LONG}: Database, valid_data: dict[str, Any]) -> dict[str, Any]:
    return {{"{LONG}": "a, b", "{LONGER}": f"{{{LONG}['x, y']}}"}}


def {LONG}({LONG}: dict[str, Any], {LONGER}: list[int], other: str) -> None:
    assert (await client.request(method, f"{{API}}/{{{LONG}.{LONG}}}", json={{}})).status_code == 404
    {LONG}: list[{LONG}] = Relationship(link_model="{LONGER}", key="é")
    {LONG}: Annotated[str, {LONG}("{"c" * 20}")] = ""
    names = ("{LONG}", "{LONGER}", "short")
    rows = [{{"{LONG}": "a"}}, {{"{LONG}": "b", "{LONGER}": "c", "{LONG}s": "d"}}]
    navigation(f"{{{LONG}}}", Link("{LONG}", "{LONG}", right=("{LONG}", "list", "{LONG}")), [1, 2])
    short = (1, 2)
'''


def test_long_lines_are_wrapped_like_ruff() -> None:
    command = [sys.executable, "-m", "ruff", "format", "--isolated", "--line-length=120", "-"]
    formatted = subprocess.run(command, input=CODE, capture_output=True, text=True, check=True, timeout=60).stdout
    assert wrap_lines(CODE) == formatted
    assert wrap_lines(formatted) == formatted


def test_existing_lines_keep_their_length() -> None:
    line = f'names = ("{LONG}", "{LONGER}", "short")\n'
    assert wrap_lines(line + line.replace("names", "added"), unchanged=line).startswith(line + "added = (\n")


def test_items_are_split_at_outer_commas() -> None:
    assert split_items('a, f(b, c), ("d, e", f)') == ["a", "f(b, c)", '("d, e", f)']
