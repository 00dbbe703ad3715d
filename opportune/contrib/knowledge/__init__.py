"""Knowledge base: documents of users, teams and the site, which language models search and cite."""

from opportune.contrib.knowledge.models import KnowledgeCollection, KnowledgeDocument, KnowledgePassage
from opportune.contrib.knowledge.passages import find_passages, only_collections, readable_passages
from opportune.contrib.knowledge.service import Collections
from opportune.contrib.knowledge.tools import search_knowledge

__all__ = [
    "Collections",
    "KnowledgeCollection",
    "KnowledgeDocument",
    "KnowledgePassage",
    "find_passages",
    "only_collections",
    "readable_passages",
    "search_knowledge",
]
