from opportune.feature import Feature
from opportune.jobs.models import DoneStep, QueuedJob

jobs = Feature(name="jobs", summary="Work for later, kept until it is done.", models=(QueuedJob, DoneStep))
