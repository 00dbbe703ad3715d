from opportune.contrib.palette import pages
from opportune.feature import Feature

palette = Feature(
    name="palette",
    summary="Search over everything at /search, and in the command palette of each page.",
    pages=pages.router,
    navigation_template="palette/button.html",
)
