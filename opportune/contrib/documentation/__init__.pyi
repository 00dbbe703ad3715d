from opportune.contrib.documentation.pages import router as router
from opportune.contrib.documentation.pages import titles_by_type as titles_by_type
from opportune.contrib.documentation.search import Documentation as Documentation
