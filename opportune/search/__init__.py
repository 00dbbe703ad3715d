"""Full-text search in the rows of models, on both databases.

book_search = Searchable(Book, fields=["title", "summary"])
page = await paginate(session, book_search.search(session, "os pat"), paging)
"""

from opportune.project.lazy_exports import lazy_exports

__getattr__ = lazy_exports(__name__)
