from opportune.feature import Feature, Monitoring

CHECKS = "opportune.contrib.translations.checks"

translations = Feature(
    "translations",
    "Catalogues of translations: write, check and compile them.",
    monitoring=Monitoring(
        source_checks=(f"{CHECKS}.check_catalogues", f"{CHECKS}.check_links"),
        deploy_checks=(f"{CHECKS}.check_new_texts",),
    ),
    commands={
        "makemessages": "opportune.contrib.translations.makemessages",
        "compilemessages": "opportune.contrib.translations.compilemessages",
    },
)
