from opportune.feature import Feature
from opportune.jobs.models import Job, JobStep

jobs = Feature(name="jobs", summary="Work for later, kept until it is done.", models=(Job, JobStep))
