from app.core.feature import Feature, Link
from app.features.pydocs import api, pages
from app.features.pydocs.jobs import index_python
from app.features.pydocs.lifespan import searching

pydocs = Feature(
    name="pydocs",
    summary="Search as you type in Python's documentation: a full-text index in memory.",
    pages=pages.router,
    api=api.router,
    navigation=[Link("Python docs", "/pydocs", "book-2")],
    jobs=[index_python],
    first_jobs=[index_python()],
    operations={"Index Python's documentation anew": index_python()},
    lifespan=searching,
)
