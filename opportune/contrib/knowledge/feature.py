from opportune.contrib.knowledge import demo, pages
from opportune.contrib.knowledge.hooks import delete_files_of_collection, delete_files_of_team, delete_files_of_user
from opportune.contrib.knowledge.jobs import index_document
from opportune.contrib.knowledge.models import KnowledgeCollection, KnowledgeDocument, KnowledgePassage
from opportune.contrib.knowledge.personal import personal_data
from opportune.contrib.knowledge.service import Collections
from opportune.contrib.knowledge.tools import search_tool
from opportune.crud import CrudApi
from opportune.feature import Accounts, Admin, Data, Demo, Feature, Jobs, Link, Llm, Site

knowledge = Feature(
    "knowledge",
    "Documents of users, teams and the site, which language models search and cite.",
    requires=("answers", "teams"),
    models=(KnowledgeCollection, KnowledgeDocument, KnowledgePassage),
    pages=pages.router,
    api=CrudApi(Collections, "/knowledge").router,
    site=Site(
        navigation=(
            Link("Documents", "/knowledge", "books", signed_in=True, summary="Documents that answers can cite."),
        )
    ),
    admin=Admin("opportune.contrib.knowledge.admin"),
    data=Data(demo=Demo(demo.load, demo.clear)),
    jobs=Jobs((index_document,)),
    llm=Llm(tools=(search_tool,), retrieval=(search_tool,)),
    accounts=Accounts(personal_data=personal_data),
    hooks=(delete_files_of_collection, delete_files_of_team, delete_files_of_user),
)
