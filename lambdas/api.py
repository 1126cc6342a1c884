"""Answers the HTTP API, but for the event stream."""

from task_scheduler.aws import environment
from task_scheduler.http.api import Api
from task_scheduler.http.gateway import handler as gateway_handler
from task_scheduler.http.routes import Context

handler = gateway_handler(Api(Context(environment.engine(), streams=False), environment.secrets()))
