from opportune.contrib.documents.jobs import embed_documents
from opportune.feature import Feature

documents = Feature(
    name="documents",
    summary="Search by meaning in indexes of documents.",
    jobs=(embed_documents,),
)
