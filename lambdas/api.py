"""Answers the HTTP API, but for the event stream."""

from task_scheduler.aws import environment
from task_scheduler.aws.metrics import watching
from task_scheduler.http.api import Api
from task_scheduler.http.gateway import handler as gateway_handler
from task_scheduler.http.routes import Context

metrics = watching()
api = Api(Context(environment.engine(metrics), streams=False), environment.secrets(), observer=metrics)
handler = metrics.written_after(gateway_handler(api))
