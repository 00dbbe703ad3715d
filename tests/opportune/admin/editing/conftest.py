"""Site with the parts feature."""

from collections.abc import Iterable

from sqlmodel import SQLModel

from tests.opportune.admin.editing.parts_feature import Part, parts
from tests.opportune.admin.gadget_feature import make_makers
from tests.opportune.site_with import site_fixture


def make_rows() -> Iterable[SQLModel]:
    return *make_makers(), *(Part(name=name, maker_id=1) for name in ("bolt", "nut", "sealed"))


app = site_fixture(parts, make_rows)
