from opportune.feature import Feature
from opportune.jobs.embeddings import embed_all, embed_documents, embed_rows, embed_when_started
from opportune.jobs.models import Job, JobStep, LastRun
from opportune.jobs.stored_files import delete_files
from opportune.storage.models import StoredFile, StoredPiece

jobs = Feature(
    name="jobs",
    summary="Work for later, kept until it is done.",
    models=(Job, JobStep, LastRun, StoredFile, StoredPiece),
    jobs=(delete_files, embed_rows, embed_documents, embed_all),
    lifespan=embed_when_started,
)
