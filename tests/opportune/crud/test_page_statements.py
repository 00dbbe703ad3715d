"""Statements of pages and of the admin. Overridden methods that only call the original do not change them."""

import re
from dataclasses import replace
from types import new_class
from typing import Any

from opportune.admin import AdminView
from opportune.config.settings import Settings
from opportune.crud import CrudPages
from opportune.feature import Admin, Feature
from opportune.testing import make_user, signed_in_client
from opportune.testing.statements import counted_statements
from tests.opportune.crud.overrides import Methods, override_all
from tests.opportune.crud.shop_feature import Mark, Vendor, Vendors, Ware
from tests.opportune.site_with import site_with

READ = ("/vendors?q=a", "/vendors/{id}", "/vendors/new", "/admin/vendor/list?search=a", "/admin/vendor/details/{id}")
WRITTEN = ("/vendors/new", "/vendors/{id}/edit", "/admin/vendor/create", "/admin/vendor/edit/{id}")


async def record_acts(shop: Feature, settings: Settings, page_methods: Methods, admin_methods: Methods) -> list[str]:
    """Return the statements of reading and writing rows on the pages and in the admin."""
    pages: Any = type("VendorPages", (CrudPages,), {**page_methods})
    options = {**admin_methods, "crud": Vendors, "column_searchable_list": ("name",)}
    view: Any = new_class("VendorAdmin", (AdminView,), {"model": Vendor}, lambda namespace: namespace.update(options))
    shop = replace(shop, pages=pages(Vendors, "/vendors").router, admin=Admin([view]))
    async with site_with(shop, settings) as app:
        superuser = await make_user(app.state.database, is_superuser=True)
        async with app.state.database.writer() as session:
            session.add(vendor := Vendor(name="Acme", region="Atlantis"))
        async with signed_in_client(app, superuser) as client:
            with counted_statements("shop_") as statements:
                for path in READ:
                    assert (await client.get(path.format(id=vendor.id))).status_code == 200
                for path in WRITTEN:
                    response = await client.post(path.format(id=vendor.id), data={"name": path, "region": "Utopia"})
                    assert response.status_code == 303, response.text
    return [re.sub(r"%\(\w+\)s", "?", statement) for statement in statements]  # names of parameters may differ


async def test_overrides_of_pages_do_not_change_statements(settings: Settings) -> None:
    expected = await record_acts(Feature("shop", models=[Vendor, Mark, Ware]), settings, {}, {})
    assert len([statement for statement in expected if statement.startswith("INSERT")]) == 2
    feature = Feature("shop")  # its tables exist
    actual = await record_acts(feature, settings, override_all(CrudPages), override_all(AdminView))
    assert actual == expected
