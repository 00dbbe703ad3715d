"""Site and client for tests of field types."""

from tests.opportune.fields.samples_feature import samples
from tests.opportune.site_with import site_fixture

app = site_fixture(samples)
"""Site with a feature that has fields of every type."""
