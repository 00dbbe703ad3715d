from opportune.admin import AdminView
from opportune.contrib.knowledge.models import KnowledgeCollection, KnowledgeDocument

CATEGORY = "Knowledge"


class KnowledgeCollectionAdmin(AdminView, model=KnowledgeCollection):
    name, plural = "Collection of documents", "Collections of documents"
    columns = ("id", "name", "owner_id", "team_id", "is_site")
    search = ("name", "description")
    filters = ("team_id", "is_site")
    icon, category = "ti ti-books", CATEGORY


class KnowledgeDocumentAdmin(AdminView, model=KnowledgeDocument):
    """Read-only list with deletion. Documents are added on the page of their collection, and read by a job."""

    name, plural = "Document", "Documents"
    columns = ("id", "title", "collection_id", "state", "passage_count", "created_at")
    search = ("title", "url")
    filters = ("collection_id", "state")
    can_create = can_edit = False
    icon, category = "ti ti-file-text", CATEGORY
