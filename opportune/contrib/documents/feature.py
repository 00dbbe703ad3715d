from opportune.contrib.documents.jobs import embed_documents
from opportune.feature import Feature, Jobs

documents = Feature("documents", "Search by meaning in indexes of documents.", jobs=Jobs((embed_documents,)))
