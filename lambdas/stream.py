"""Answers GET /events: a function of its own, so that listeners cannot keep others waiting."""

from task_scheduler.aws import environment
from task_scheduler.http.api import Api
from task_scheduler.http.gateway import handler as gateway_handler
from task_scheduler.http.routes import Context
from task_scheduler.metrics import Unobserved

# It waits by design, which would hide how long the API takes.
context = Context(environment.engine(Unobserved(), polls=True), streams=False)
handler = gateway_handler(Api(context, environment.secrets()))
