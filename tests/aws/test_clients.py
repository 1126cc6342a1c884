"""What goes out with each call of AWS."""

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse

from task_scheduler import __version__
from task_scheduler.aws import clients


class Raw:
    """A body as a connection of urllib3 has it."""

    def stream(self, **_: object) -> Iterator[bytes]:
        yield b"{}"


@pytest.mark.parametrize("kind", [{}, {"poll": True}, {"once": True}])
def test_a_call_says_who_makes_it(monkeypatch: pytest.MonkeyPatch, kind: dict[str, bool]) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "nobody")
    callers = []

    def answer(request: Any, **_: object) -> AWSResponse:  # noqa: ANN401 - botocore's own
        callers.append(request.headers["User-Agent"].decode())
        return AWSResponse(request.url, 200, {}, Raw())  # type: ignore[arg-type]  # any mapping will do

    client = clients.client("dynamodb", **kind)
    client.meta.events.register("before-send", answer)
    client.get_item(TableName="t", Key={"id": {"S": "1"}})
    assert callers == [f"task-scheduler/{__version__}"]
