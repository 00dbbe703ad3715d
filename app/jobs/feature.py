from app.core.feature import Feature
from app.jobs.models import DoneStep, QueuedJob

jobs = Feature(name="jobs", summary="Work for later, kept until it is done.", models=(QueuedJob, DoneStep))
