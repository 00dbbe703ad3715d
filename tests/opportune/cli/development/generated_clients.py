"""Generated clients, which run the code of docs/api-clients.md.

Generators come from package indexes. Therefore `.ci/run clients` runs this file, and `oppman.py test` does not.
"""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from opportune.db.database import Database
from opportune.project.layout import PROJECT
from opportune.testing import make_user
from tests.opportune.guides import code_blocks, read_guide

TYPESCRIPT = (
    *("npx", "--yes", "--package=typescript@5", "--", "tsc"),
    *("--strict", "--skipLibCheck", "--lib", "es2022,dom,dom.iterable"),
)
MAX_SECONDS = 180


@pytest.fixture(autouse=True)
async def _user(database: Database) -> None:
    await make_user(database, "ada@example.com")


async def run(folder: Path, *command: str) -> str:
    """Run a command that must succeed, and return its output with warnings."""
    result = await asyncio.to_thread(
        subprocess.run,
        command,
        cwd=folder,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=MAX_SECONDS,
        check=False,
    )
    assert result.returncode == 0, result.stdout
    return result.stdout


def code_of_guide(language: str, site: str) -> str:
    guide = read_guide("api-clients.md")
    (code,) = code_blocks(guide, language)
    return str(code).replace("http://127.0.0.1:8000", site)


async def generate(language: str, folder: Path) -> None:
    oppman = str(PROJECT / "oppman.py")
    client = folder / f"{language}_client"
    output = await run(PROJECT, sys.executable, oppman, "openapi", "--client", language, "--output", str(client))
    assert output == f"Generated the {language} client in {client}.\n"


async def test_python_client_runs(site: str, tmp_path: Path) -> None:
    await generate("python", tmp_path)
    (tmp_path / "main.py").write_text(code_of_guide("python3", site), encoding="utf-8")
    files = ("main.py", "python_client/api", "python_client/models")  # client.py of the generator has mistakes
    await run(tmp_path, sys.executable, "-m", "mypy", "--config-file=", "--follow-imports=silent", *files)
    assert await run(tmp_path, sys.executable, "-W", "error", "main.py") == "['Bakers']\n"


async def test_typescript_client_runs(site: str, tmp_path: Path) -> None:
    await generate("typescript", tmp_path)
    (tmp_path / "main.ts").write_text(code_of_guide("ts", site), encoding="utf-8")
    await run(tmp_path, *TYPESCRIPT, "--target", "es2022", "--module", "commonjs", "--outDir", "out", "main.ts")
    assert await run(tmp_path, "node", "out/main.js") == "[ 'Bakers' ]\n"
