"""Serves the HTTP API, but for the event stream."""

from task_scheduler.api.apigateway import handler as gateway_handler
from task_scheduler.api.app import Api
from task_scheduler.api.routes import Context
from task_scheduler.aws import bootstrap
from task_scheduler.aws.metrics import metrics_with_throttle_hook

metrics = metrics_with_throttle_hook()
api = Api(Context(bootstrap.engine(metrics), streams=False), bootstrap.secrets(), metrics=metrics)
handler = metrics.flush_after(gateway_handler(api))
