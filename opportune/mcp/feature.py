from opportune.feature import Feature
from opportune.mcp import pages

mcp = Feature(
    name="mcp",
    summary="The site's tools for the models of others, by the Model Context Protocol.",
    pages=pages.router,
)
