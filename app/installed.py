"""THE list of what is installed. Add your feature here; delete a line (and the feature's folders) to remove one."""

from app.core.feature import Feature
from app.features.home.feature import home

INSTALLED: tuple[Feature, ...] = (home,)
