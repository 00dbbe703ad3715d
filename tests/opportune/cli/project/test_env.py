"""`env` and `secrets`: settings and their sources without secrets, and edits of .env."""

import json
import re
import stat
from pathlib import Path

import pytest
from dotenv import dotenv_values

from opportune.cli.project import env, secrets
from opportune.config.settings import Settings
from opportune.project.modules import settings_class
from tests.opportune.cli.conftest import Oppman

CANARY = "c4n4ry-of-a-secret-of-32-characters"
EXAMPLE = Path(__file__).with_name("env_example.txt").read_text(encoding="utf-8")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary project folder."""
    for module in (env, secrets):
        monkeypatch.setattr(module, "PROJECT", tmp_path)
    monkeypatch.setattr("opportune.admin.settings_table.PROJECT", tmp_path)
    return tmp_path


@pytest.fixture
def run(project: Path, oppman: Oppman, monkeypatch: pytest.MonkeyPatch) -> Oppman:
    """Run commands with the settings of `.env` in the project folder."""
    monkeypatch.setitem(settings_class().model_config, "env_file", project / ".env")
    for name in ("ENVIRONMENT", "DATABASE_URL", "SECRET_KEY"):
        monkeypatch.delenv(name, raising=False)
    return oppman


def test_settings_are_listed_with_their_source(project: Path, run: Oppman) -> None:
    url = f"postgresql://site:{CANARY}@db.example/site"
    (project / ".env").write_text(f"SECRET_KEY={CANARY}\nDATABASE_URL={url}\nPORT=8000\n")
    code, out, err = run("env", LOG_FORMAT="json")
    assert (code, err) == (0, "")
    assert [line.split() for line in out.splitlines()[:5]] == [
        ["NAME", "VALUE", "FROM"],
        ["SECRET_KEY", "set", ".env"],
        ["PORT", "8000", ".env"],
        ["DATABASE_URL", "postgresql+psycopg://site:***@db.example/site?sslmode=require", ".env"],
        ["LOG_FORMAT", "json", "environment"],
    ]
    assert out.endswith("python3 oppman.py env --all\n")
    assert CANARY not in out


def test_all_lists_values_with_their_defaults(project: Path, run: Oppman) -> None:
    (project / ".env").write_text(f"SECRET_KEY={CANARY}\nPORT=9000\n")
    out = run("env", "--all").out
    assert "\n\nPORT=9000  (.env, default 8000)\n    Port to listen on. Most hosts set it.\n\n" in out
    assert "\nSECRET_KEY=set  (.env)\n" in out
    assert "\nSECRETS_FROM=  (default)\n" in out
    assert CANARY not in out
    assert set(re.findall(r"^([A-Z_]+)=", out, re.MULTILINE)) >= {name.upper() for name in Settings.model_fields}


def test_json_output(project: Path, run: Oppman) -> None:
    (project / ".env").write_text(f"SECRET_KEY={CANARY}\n")
    key = {"name": "SECRET_KEY", "value": "set", "from": ".env", "secret": True, "default": ""}
    assert json.loads(run("env", "--json").out) == [key]


def test_invalid_setting_is_named_without_value(project: Path, run: Oppman) -> None:
    (project / ".env").write_text(f"PORT={CANARY}\n")
    assert run("env") == (1, "", "PORT: Write a whole number.\n")


def test_env_init_copies_the_example_with_a_key(project: Path, oppman: Oppman) -> None:
    (project / ".env.example").write_text(EXAMPLE)
    assert oppman("env", "init")[0] == 0
    text = (project / ".env").read_text()
    expected = EXAMPLE.replace("# ENV", "ENV").replace("# DEBUG=false", "DEBUG=true")
    assert re.sub(r"KEY=\S{64}", "KEY=…", text) == expected.replace("# SECRET_KEY=\n", "SECRET_KEY=…\n")
    assert stat.S_IMODE((project / ".env").stat().st_mode) == 0o600


def test_env_init_keeps_existing_file(project: Path, oppman: Oppman) -> None:
    (project / ".env").write_text("PORT=1\n")
    assert oppman("env", "init").line().startswith(".env already exists and was not changed.")
    assert (project / ".env").read_text() == "PORT=1\n"


def test_rotate_keeps_older_keys(project: Path, run: Oppman) -> None:
    path = project / ".env"
    old = f"# comment\nexport PORT=9000\nSECRET_KEY='{CANARY}' # old\n\nSECRET_KEY_FALLBACKS=a,b\n# end\n"
    path.write_text(old, newline="\r\n")
    path.chmod(0o640)
    code, out, err = run("secrets", "rotate")
    assert (code, err) == (0, "")
    assert "SECRET_KEY_FALLBACKS has 3 older keys." in out
    assert CANARY not in out
    text = re.sub(r"KEY=\S{64}", "KEY=…", path.read_text())
    assert text == f"# comment\nexport PORT=9000\nSECRET_KEY=…\nSECRET_KEY_FALLBACKS={CANARY},a,b\n\n# end\n"
    assert b"\n" not in path.read_bytes().replace(b"\r\n", b"")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert list(project.iterdir()) == [path]


def test_missing_file_has_no_key_to_rotate(run: Oppman) -> None:
    assert ".env has no SECRET_KEY to rotate" in run("secrets", "rotate").line()


def test_rotate_removes_a_stolen_key(project: Path, run: Oppman) -> None:
    (project / ".env").write_text(f"SECRET_KEY={CANARY}\nSECRET_KEY_FALLBACKS=a\n")
    assert "After the restart, links in e-mails" in run("secrets", "rotate", "--stolen").out
    assert dotenv_values(project / ".env")["SECRET_KEY_FALLBACKS"] == ""
    assert CANARY not in (project / ".env").read_text()


@pytest.mark.parametrize(
    ("text", "environ", "message"),
    [
        ("PORT=1\n", {}, ".env has no SECRET_KEY to rotate. Make one: python3 -c "),
        (f"SECRET_KEY={CANARY}\n", {"SECRET_KEY": CANARY}, "SECRET_KEY is set by environment, which overrides .env."),
    ],
)
def test_refusal_changes_nothing(project: Path, run: Oppman, text: str, environ: dict[str, str], message: str) -> None:
    (project / ".env").write_text(text)
    line = run("secrets", "rotate", **environ).line()
    assert message in line
    assert CANARY not in line
    assert (project / ".env").read_text() == text
