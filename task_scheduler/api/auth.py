"""The shared secret that guards the API."""

import hashlib
import hmac
from collections.abc import Callable, Sequence

from task_scheduler.api.errors import UnauthorizedError
from task_scheduler.api.json_body import read_secret
from task_scheduler.api.request import Request
from task_scheduler.contract import SECRET_HEADER

Secrets = Callable[[], Sequence[str]]
"""Returns the secrets that are valid now; none means that no secret is required."""


def authorize(request: Request, secrets: Secrets) -> None:
    """Let a request with a valid secret pass, from its header or, as older clients do, from its body.

    Raises UnauthorizedError, which reveals nothing about the secret.
    """
    valid = secrets()
    if not valid:
        return
    given: object = request.headers.get(SECRET_HEADER)
    if given is None:
        given = read_secret(request.body)
    if given is None:
        raise UnauthorizedError(f"The secret is missing: send it in the {SECRET_HEADER} header.")
    # Every comparison is made, each between digests of one length: the time taken tells nothing.
    digest = _digest(given)
    matches = [hmac.compare_digest(digest, _digest(secret)) for secret in valid]
    if not any(matches):
        raise UnauthorizedError(f"The secret in the {SECRET_HEADER} header doesn't match the configured secret.")


def _digest(secret: object) -> bytes:
    """Digest any JSON value, so that a secret that is no string merely differs."""
    text = secret if isinstance(secret, str) else f"\0{secret!r}"
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
