"""Additional fields of the project's user model."""

import runpy
from datetime import date
from pathlib import Path

import pytest
from pydantic import create_model

from opportune.accounts.users import schemas as user_schemas
from opportune.errors import OperatorError
from opportune.project.modules import users_module
from tests.opportune.cli.command_server import REQUIRED_FEATURE_MODULES, TEST_MODULES, command_server
from tests.opportune.cli.conftest import ProjectCopy, install_required_features

ADDITIONAL_FIELDS = """
    phone: Phone = ""
    birthday: date | None = None
    newsletter: bool = False
"""
MISSING_COLUMN_ERROR = r"/users/schemas\.py: UserUpdate has birthday, which is not a column of User\."
IMPORTS = "from datetime import date\nfrom opportune.fields import Phone\n"
TEST_MODULE = """
import pytest
from app.users.models import User
from opportune.testing import make_token, make_user, signed_in_client

FORM_DATA = {"phone": "+431711000", "birthday": "1815-12-10", "newsletter": "true"}
STORED = {**FORM_DATA, "newsletter": True}

@pytest.mark.database("sqlite")
async def test_fields_are_shown_and_stored(app, client, database):
    ada, root = await make_user(database), await make_user(database, is_superuser=True)
    async with signed_in_client(app, ada) as browser:
        page = (await browser.get("/accounts/profile")).text
        assert [text in page for text in ('type="tel"', 'type="date"', 'type="checkbox"')] == [True] * 3
        assert (await browser.post("/accounts/profile", data={"phone": "none"})).status_code == 422
        assert (await browser.post("/accounts/profile", data=FORM_DATA)).status_code == 303
    client.headers["authorization"] = f"Bearer {await make_token(database, ada)}"
    assert (await client.get("/api/v1/users/me")).json().items() >= STORED.items()
    assert (await client.patch("/api/v1/users/me", json={"birthday": None})).json()["birthday"] is None
    async with signed_in_client(app, root) as admin:
        assert "+431711000" in (await admin.get("/admin/user/list")).text
        form = (await admin.get(f"/admin/user/edit/{ada.id}")).text
        assert all(f'name="{name}"' in form for name in FORM_DATA)
"""


def insert_fields(path: Path, fields: str, *preceding_lines: str) -> None:
    """Insert the fields after each of these lines, and the imports that they need."""
    text = path.read_text()
    for line in preceding_lines:
        assert text.count(line) == 1
        text = text.replace(line, line + fields)
    path.write_text(text.replace("from opportune", IMPORTS + "from opportune", 1))


def test_additional_fields_are_shown_and_stored(tmp_path: Path) -> None:
    copy = ProjectCopy(tmp_path / "copy").folder
    install_required_features(copy)
    insert_fields(copy / "app/users/schemas.py", ADDITIONAL_FIELDS, "    avatar: Image\n", 'title="Picture")\n')
    (copy / "tests").mkdir()
    (copy / "tests/conftest.py").write_text('pytest_plugins = ["opportune.testing.plugin"]\n')
    (copy / "tests/test_fields.py").write_text(TEST_MODULE)
    insert_fields(copy / "app/users/models.py", ADDITIONAL_FIELDS, '{"small": 96}, default="")\n')
    with command_server(
        copy, *TEST_MODULES, *REQUIRED_FEATURE_MODULES
    ) as run:  # imports the user model, so the edits come first
        code, output = run("makemigrations", "&&", "makemigrations", "--check")
        assert (code, output.count("+ Add column")) == (0, 3)
        code, output = run("pytest", "-q", "-o", "asyncio_mode=auto", "tests")
    assert code == 0, output[-5000:]


def test_schema_field_without_column_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    schemas = users_module("schemas")
    update = create_model("UserUpdate", __base__=schemas.UserUpdate, birthday=(date | None, None))
    monkeypatch.setattr(schemas, "UserUpdate", update)
    assert user_schemas.__file__
    with pytest.raises(OperatorError, match=MISSING_COLUMN_ERROR):
        runpy.run_path(user_schemas.__file__)  # the check runs at import
