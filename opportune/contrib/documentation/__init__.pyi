from opportune.contrib.documentation.content import Documentation as Documentation
from opportune.contrib.documentation.pages import router as router
from opportune.contrib.documentation.pages import titles_by_type as titles_by_type
