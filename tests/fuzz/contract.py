"""The contract, as a fuzzer asks by it."""

import json
from typing import Any, Final

import schemathesis
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.schemas import OpenApiSchema

from task_scheduler.api.routes import openapi

# Some of what the contract says in words, since JSON Schema cannot say all of it. Without an offset, a time is good
# with a time zone and without.
_TASK_TIME: Final = (
    r"^20[0-2][0-9]-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])T([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,9})?)?$"
)
_TIME: Final = _TASK_TIME.replace("?$", r"?(Z|[+-](0[0-9]|1[0-3]):[0-5][0-9])?$")
_DELAY: Final = r"^[0-9]{1,3}(\.[0-9]{1,9})?[smhd]$"
_TAG: Final = r"^[0-9_a-z-]{1,128}:[ -~À-ÿ]{1,256}$"
_TAG_VALUE: Final = r"^[ -~À-ÿ]{1,256}$"
_ZONES: Final = ["America/New_York", "Australia/Lord_Howe", "Europe/Berlin", "UTC"]


def contract(*, valid: bool, examples: int | None) -> OpenApiSchema:
    """Return what to ask by: data that is valid, or data that is not, so many times for each operation.

    Where no number is given, it is a few times, and always the same. Each boundary of each schema is among it.
    """
    document = json.loads(openapi())
    # Only a stream looks at it, and no stream is asked for.
    events = document["paths"]["/events"]["get"]
    events["parameters"] = [each for each in events["parameters"] if each["name"] != "Last-Event-ID"]
    if valid:
        _narrow(document)
    return schemathesis.openapi.from_dict(document, config=_config(valid=valid, examples=examples))


def _config(*, valid: bool, examples: int | None) -> SchemathesisConfig:
    return SchemathesisConfig.from_dict(
        {
            "generation": {
                "mode": "positive" if valid else "negative",
                "max-examples": examples or 10,
                "deterministic": examples is None,
                "with-security-parameters": False,  # the caller gives the secret
            },
            "phases": {
                "examples": {"enabled": valid},
                # What API Gateway passes on; TRACE and its like never reach a function.
                "coverage": {
                    "enabled": True,
                    "unexpected-methods": ["get", "post", "put", "patch", "delete", "options"],
                },
            },
        }
    )


def _narrow(document: dict[str, Any]) -> None:
    """Leave of valid data what is valid by the contract's words, too."""
    schemas = document["components"]["schemas"]
    for body in (schemas["NewTask"]["properties"], schemas["TaskChange"]["properties"]):
        body["timestamp"] = _text(_TASK_TIME)
        body["timezone"] = {"enum": _ZONES}
        body["in"] = {"oneOf": [body["in"]["oneOf"][0], _text(_DELAY)]}
    for operation in document["paths"]["/schedule"].values():
        del operation["requestBody"]["content"]["application/json"]["examples"]  # a time zone would be added to them
    schemas["NewTask"]["properties"]["tags"]["additionalProperties"] = _text(_TAG_VALUE)
    schemas["CancellationBatch"]["properties"]["tag"] = _text(_TAG)
    listing = document["paths"]["/tasks"]["get"]
    asked = {each["name"]: each for each in listing["parameters"]}
    asked["from"]["schema"] = asked["to"]["schema"] = _text(_TIME)
    asked["tag"]["schema"] = _text(_TAG)
    del asked["cursor"]  # only a page gives one out
    listing["parameters"] = list(asked.values())


def _text(pattern: str) -> dict[str, str]:
    return {"type": "string", "pattern": pattern}
