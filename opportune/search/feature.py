from opportune.feature import Feature, Site
from opportune.search.results import highlight, snippet

search = Feature(
    "search",
    "Full-text search of rows and documents.",
    site=Site(template_filters={"highlight": highlight, "snippet": snippet}),
)
