"""Serves GET /events: a function of its own, so that listeners cannot keep others waiting."""

from task_scheduler.api.apigateway import handler as gateway_handler
from task_scheduler.api.app import Api
from task_scheduler.api.routes import Context
from task_scheduler.aws import bootstrap
from task_scheduler.metrics import NullMetrics

# It waits by design, which would hide how long the API takes.
context = Context(bootstrap.engine(NullMetrics(), polls=True), streams=False)
handler = gateway_handler(Api(context, bootstrap.secrets()))
