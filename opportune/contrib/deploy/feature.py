from opportune.feature import Feature, Monitoring

deploy = Feature(
    "deploy",
    "Files, settings and rehearsals for the hosts of a site.",
    monitoring=Monitoring(host_check="opportune.contrib.deploy.check.check_current_host"),
    commands={"deploy": "opportune.contrib.deploy.commands.deploy"},
)
