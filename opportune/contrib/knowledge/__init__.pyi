from opportune.contrib.knowledge.models import KnowledgeCollection as KnowledgeCollection
from opportune.contrib.knowledge.models import KnowledgeDocument as KnowledgeDocument
from opportune.contrib.knowledge.models import KnowledgePassage as KnowledgePassage
from opportune.contrib.knowledge.passages import find_passages as find_passages
from opportune.contrib.knowledge.passages import only_collections as only_collections
from opportune.contrib.knowledge.passages import readable_passages as readable_passages
from opportune.contrib.knowledge.service import Collections as Collections
from opportune.contrib.knowledge.tools import search_knowledge as search_knowledge
