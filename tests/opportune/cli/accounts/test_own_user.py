"""Additional fields of the project's user model."""

import runpy
from datetime import date

import pytest
from pydantic import create_model

from opportune.accounts.users import schemas as user_schemas
from opportune.errors import OperatorError
from opportune.project.modules import users_module

MISSING_COLUMN_ERROR = r"/users/schemas\.py: UserUpdate has birthday, which is not a column of User\."


def test_schema_field_without_column_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    schemas = users_module("schemas")
    update = create_model("UserUpdate", __base__=schemas.UserUpdate, birthday=(date | None, None))
    monkeypatch.setattr(schemas, "UserUpdate", update)
    assert user_schemas.__file__
    with pytest.raises(OperatorError, match=MISSING_COLUMN_ERROR):
        runpy.run_path(user_schemas.__file__)  # the check runs at import
