"""What the emulator does otherwise than AWS does, and this project needs: set right inside its process."""

from collections.abc import Mapping
from typing import Any, Final

from ministack.services import stepfunctions  # type: ignore[import-untyped]  # it has no types

_PUBLISH: Final = "arn:aws:states:::sns:publish"


def apply() -> None:
    """Correct the emulator, before it starts."""
    integrations = stepfunctions._SERVICE_DISPATCH  # noqa: SLF001 - there is no other place to take hold of
    publish = integrations[_PUBLISH]

    def publish_with_attributes(resource: str, given: Mapping[str, Any]) -> Any:  # noqa: ANN401 - as it was
        return publish(resource, _with_entries(given))

    integrations[_PUBLISH] = publish_with_attributes


def _with_entries(given: Mapping[str, Any]) -> dict[str, Any]:
    """Write the map of message attributes as the query protocol does, the only form that ministack 1.5.33 reads."""
    attributes: Mapping[str, Mapping[str, str]] = given.get("MessageAttributes", {})
    entries = dict(given)
    for number, (name, value) in enumerate(attributes.items(), 1):
        entries[f"MessageAttributes.entry.{number}.Name"] = name
        entries |= {f"MessageAttributes.entry.{number}.Value.{part}": text for part, text in value.items()}
    return entries
