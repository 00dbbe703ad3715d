from app.pydocs import api, pages, questions, tools
from app.pydocs.documents import python_docs
from app.pydocs.jobs import index_python
from app.pydocs.settings import PydocsSettings
from opportune.feature import Feature, Link

pydocs = Feature(
    name="pydocs",
    summary="Search as you type in Python's documentation: a full-text index in memory.",
    requires=("documents",),
    pages=[questions.router, pages.router],
    api=api.router,
    navigation=[Link("Python docs", "/pydocs", "book-2")],
    retrieval=[tools.search_python_docs],
    tools=[tools.search_python_docs, tools.read_python_docs],
    commands={"pydocs": "app.pydocs.commands"},
    jobs=[index_python],
    first_jobs=[index_python()],
    operations={"Rebuild the index of Python's documentation": index_python()},
    settings=PydocsSettings,
    lifespan=python_docs.lifespan,
)
