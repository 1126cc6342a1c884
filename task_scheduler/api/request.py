"""A request, free of any web framework."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request, as routes get it."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    """Names in lower case."""
    query: Mapping[str, str] = field(default_factory=dict)
    repeated: Sequence[str] = ()
    """Names of query parameters that were given more than once."""
    body: bytes = b""
    params: Mapping[str, str] = field(default_factory=dict)
    """The variable parts of the path."""
    public_path: str = "/"
    """The path as the caller wrote it; behind API Gateway it begins with that of the stage, and may be no more."""


def query_fields(pairs: Iterable[tuple[str, str]]) -> tuple[dict[str, str], list[str]]:
    """Return the parameters of a query, and the names of those that were given more than once."""
    found: dict[str, str] = {}
    repeated = []
    for name, value in pairs:
        if name in found:
            repeated.append(name)
        found[name] = value
    return found, list(dict.fromkeys(repeated))
