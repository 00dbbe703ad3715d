from opportune.contrib.palette import pages
from opportune.feature import Feature, Site

palette = Feature(
    "palette",
    "Search over everything at /search, and in the command palette of each page.",
    pages=pages.router,
    site=Site(navigation_template="palette/button.html"),
)
