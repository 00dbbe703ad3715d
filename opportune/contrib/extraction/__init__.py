"""Text of documents, extracted in a separate process. The process imports only this package."""
