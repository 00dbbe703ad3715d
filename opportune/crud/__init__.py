"""Data layer, HTML pages and JSON API of a model, from one class.

`class Books(Crud[Book])` declares who may read and write which rows, and the search, filters and order of lists.
`CrudPages` and `CrudApi` derive pages and an API from it. Each of their methods can be overridden.
"""

from opportune.project.lazy_exports import lazy_exports

__getattr__ = lazy_exports(__name__)
