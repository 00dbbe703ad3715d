from app.home.checks import check_legal_texts
from app.home.pages import router
from opportune.feature import Feature, Monitoring

home = Feature(
    "home",
    "The landing page and the legal pages.",
    pages=router,
    monitoring=Monitoring(production_checks=[check_legal_texts]),
)
"""The landing page, with a footer that all pages show. The texts are in `templates/home/`; write your own."""
