from opportune.contrib.evaluation.models import EvaluationRun, EvaluationVerdict
from opportune.feature import Admin, Feature

evaluation = Feature(
    "evaluation",
    "Evaluations of language models by a model as judge.",
    requires=("answers",),
    models=(EvaluationRun, EvaluationVerdict),
    admin=Admin("opportune.contrib.evaluation.admin"),
)
