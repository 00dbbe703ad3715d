from app.pydocs import api, pages, questions, tools
from app.pydocs.documents import python_docs
from app.pydocs.jobs import index_python
from app.pydocs.settings import PydocsSettings
from opportune.feature import Admin, Feature, Jobs, Link, Llm, Process, Site

pydocs = Feature(
    "pydocs",
    "Search as you type in Python's documentation: a full-text index in memory.",
    requires=("documents", "answers"),
    pages=[questions.router, pages.router],
    api=api.router,
    site=Site(navigation=[Link("Python docs", "/pydocs", "book-2", summary="Search the documentation as you type.")]),
    llm=Llm(retrieval=[tools.search_python_docs], tools=[tools.search_python_docs, tools.read_python_docs]),
    commands={"pydocs": "app.pydocs.commands"},
    jobs=Jobs([index_python], first=[index_python()]),
    admin=Admin(operations={"Rebuild the index of Python's documentation": index_python()}),
    settings=PydocsSettings,
    process=Process(lifespan=python_docs.lifespan),
)
