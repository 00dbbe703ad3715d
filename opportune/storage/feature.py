from opportune.feature import Feature
from opportune.storage import routes

storage = Feature(name="storage", summary="Uploaded files and their signed URLs.", routes=routes.router)
