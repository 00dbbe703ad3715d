"""The declaration of features, for `feature.py`."""

from opportune.feature.accounts import Accounts, Person, PersonalData
from opportune.feature.admin import Admin, AdminPanel, Metric, Number, SetupStep, Table, UserColumn
from opportune.feature.data import Data, Demo
from opportune.feature.declaration import Feature
from opportune.feature.jobs import Cleanup, Jobs
from opportune.feature.llm import Llm
from opportune.feature.monitoring import Check, Finding, Gauge, HealthLight, Monitoring
from opportune.feature.process import Process
from opportune.feature.site import Link, Panel, Site, SiteSearch
from opportune.services import Service, Services

__all__ = [
    "Accounts",
    "Admin",
    "AdminPanel",
    "Check",
    "Cleanup",
    "Data",
    "Demo",
    "Feature",
    "Finding",
    "Gauge",
    "HealthLight",
    "Jobs",
    "Link",
    "Llm",
    "Metric",
    "Monitoring",
    "Number",
    "Panel",
    "Person",
    "PersonalData",
    "Process",
    "Service",
    "Services",
    "SetupStep",
    "Site",
    "SiteSearch",
    "Table",
    "UserColumn",
]
