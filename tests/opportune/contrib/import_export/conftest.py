"""A site with gadgets, whose lists can be imported and exported."""

from tests.opportune.admin.gadget_feature import gadgets, make_makers
from tests.opportune.site_with import site_fixture

app = site_fixture(gadgets, make_makers)
