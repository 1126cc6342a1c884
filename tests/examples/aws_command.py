"""What a command of the AWS CLI asks for, by the model of the service; the CLI itself is not installed."""

import json
import shlex
from dataclasses import dataclass
from typing import Any

from botocore import xform_name
from botocore.session import Session
from botocore.validate import ParamValidator


@dataclass(frozen=True)
class AwsCommand:
    """A call of a service."""

    service: str
    method: str
    parameters: dict[str, Any]

    def run(self, client: Any) -> Any:  # noqa: ANN401 - a client of any service, and what it answers
        """Make the call."""
        return getattr(client, self.method)(**self.parameters)


def read(command: str) -> AwsCommand:
    """Read a command; fails where the service has no such operation or option, or takes no such value."""
    aws, service, verb, *words = shlex.split(command)
    assert aws == "aws"
    options = {option.removeprefix("--"): value for option, value in zip(words[::2], words[1::2], strict=True)}
    model = Session().get_service_model(service)
    [operation] = [name for name in model.operation_names if xform_name(name, "-") == verb]
    shape = model.operation_model(operation).input_shape
    assert shape
    parameters = {}
    for member, kind in shape.members.items():
        option = xform_name(member, "-")
        # The CLI has another name for this one, since --endpoint-url is its own.
        option = {"endpoint": "notification-endpoint"}.get(option, option)
        if option in options:
            value = options.pop(option)
            parameters[member] = json.loads(value) if kind.type_name == "map" else value
    assert not options, f"unknown to aws {service} {verb}: {options}"
    report = ParamValidator().validate(parameters, shape)
    assert not report.has_errors(), report.generate_report()
    return AwsCommand(service, xform_name(operation), parameters)
