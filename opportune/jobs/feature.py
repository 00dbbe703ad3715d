from opportune.feature import Feature
from opportune.jobs.models import Job, JobStep, LastRun
from opportune.jobs.stored_files import delete_files
from opportune.storage.models import StoredFile, StoredPiece

jobs = Feature(
    name="jobs",
    summary="Background jobs, stored until they are done.",
    models=(Job, JobStep, LastRun, StoredFile, StoredPiece),
    jobs=(delete_files,),
)
