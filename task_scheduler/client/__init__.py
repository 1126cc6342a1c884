"""The Python client for both engines: Client, AsyncClient, the types that they return, the errors that they raise.

```python
from task_scheduler.client import Client

with Client("http://127.0.0.1:8000") as scheduler:
    made = scheduler.schedule_in("30s", {"name": "Luke"})
    scheduler.cancel(made.id)
```
"""

from task_scheduler.client._async import AsyncClient
from task_scheduler.client._sync import Client
from task_scheduler.client.errors import (
    ApiError,
    BadRequestError,
    ConflictError,
    KeyConflictError,
    NotFoundError,
    ServerError,
    TaskNotFoundError,
    TaskSchedulerError,
    TooLargeError,
    TooLateError,
    TooManyRequestsError,
    UnauthorizedError,
    UnexpectedResponseError,
    UnreachableError,
)
from task_scheduler.client.models import Event, Scheduled, Task
from task_scheduler.task import Status

__all__ = [
    "ApiError",
    "AsyncClient",
    "BadRequestError",
    "Client",
    "ConflictError",
    "Event",
    "KeyConflictError",
    "NotFoundError",
    "Scheduled",
    "ServerError",
    "Status",
    "Task",
    "TaskNotFoundError",
    "TaskSchedulerError",
    "TooLargeError",
    "TooLateError",
    "TooManyRequestsError",
    "UnauthorizedError",
    "UnexpectedResponseError",
    "UnreachableError",
]
