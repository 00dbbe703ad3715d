"""Tables of the response of each URL to each role.

`oppman.py test --accept-access` writes the tables. Each feature of the project has one beside its tests. The table of
the framework is `tests/opportune/security/access.txt`.
"""

from opportune.testing.access.comparison import differences
from opportune.testing.access.table import HEADING

__all__ = ["HEADING", "differences"]
