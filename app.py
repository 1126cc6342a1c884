"""Reads the settings and builds the stack; makes no AWS call and needs no network."""

import sys

import aws_cdk as cdk

from stacks.settings import SettingError, Settings
from stacks.task_scheduler_stack import TaskSchedulerStack

# Analytics would put a resource into the template that says which constructs it was made of.
app = cdk.App(analytics_reporting=False)
try:
    settings = Settings.from_context(app.node.get_all_context())
except SettingError as mistake:
    sys.exit(f"Task Scheduler: {mistake}")
TaskSchedulerStack(app, settings.stack, settings=settings)
app.synth()
