"""Names of fields that `addmodel` refuses, and names of models in the admin."""

import pytest

from opportune.admin import AdminView
from opportune.cli.scaffold.field_definitions import check_name
from opportune.db.models.columns import is_privilege
from opportune.errors import OperatorError
from tests.opportune.admin.gadget_feature import Table


@pytest.mark.parametrize("name", ["active", "is_active", "group", "groups", "scope", "grant", "secretary", "staffing"])
def test_names_of_products_are_accepted(name: str) -> None:
    check_name(name)
    assert not is_privilege(name)


@pytest.mark.parametrize("name", ["admin", "role", "permissions", "is_verified", "client_secret", "reset_token"])
def test_names_of_privileges_and_secrets_are_refused(name: str) -> None:
    with pytest.raises(OperatorError, match="is the name of a "):
        check_name(name)


def test_active_is_a_privilege_of_accounts() -> None:
    assert is_privilege("is_active", of_account=True)


class Category(Table, table=True):
    __tablename__ = "field_names_category"


def test_admin_derives_english_plurals() -> None:
    class CategoryAdmin(AdminView, model=Category): ...

    class ShelfAdmin(AdminView, model=Category):
        name = "Shelf"

    class StockAdmin(AdminView, model=Category):
        plural = "Stock"

    views = (CategoryAdmin, ShelfAdmin, StockAdmin)
    assert [view.name_plural for view in views] == ["Categories", "Shelves", "Stock"]
