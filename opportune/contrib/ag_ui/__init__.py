"""Answers as events of AG-UI, for front ends that speak this protocol."""

from opportune.contrib.ag_ui.runs import AgUiInput, run_agent

__all__ = ["AgUiInput", "run_agent"]
