from opportune.feature import Feature, Site
from opportune.storage import routes

storage = Feature("storage", "Uploaded files and their signed URLs.", site=Site(routes=routes.router))
