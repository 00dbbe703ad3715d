"""Old path of `Contents`, for the tests of projects created with 0.2."""

from opportune.search.documents.document import Contents

__all__ = ["Contents"]
