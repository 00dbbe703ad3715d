from opportune.feature import Feature
from opportune.search.highlighting import highlight, snippet

search = Feature(
    name="search",
    summary="Full-text search of rows and documents.",
    template_filters={"highlight": highlight, "snippet": snippet},
)
