"""The secret in Secrets Manager and the one before it, cached for five minutes."""

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

from botocore.exceptions import BotoCoreError, ClientError

from task_scheduler.aws.errors import code
from task_scheduler.engine import UnavailableError

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

_logger: Final = logging.getLogger(__name__)

CACHE_S: Final = 300
"""How long a secret that was read is used: a read is two calls, and each call is paid for."""

_RETRY_S: Final = 60
"""How long it is used further when it could not be read again."""

_CURRENT: Final = "AWSCURRENT"
_PREVIOUS: Final = "AWSPREVIOUS"
"""The labels that Secrets Manager gives to the value put last, and to the one before it."""


class StoredSecret:
    """Returns the valid secrets when called, as http.secret wants it."""

    def __init__(self, client: "SecretsManagerClient", arn: str, *, now_ms: Callable[[], int]) -> None:
        self._client = client
        self._arn = arn
        self._now_ms = now_ms
        self._known: Sequence[str] = ()
        self._read_again_ms = 0

    def __call__(self) -> Sequence[str]:
        """Return the secrets; known ones go on being valid while they cannot be read."""
        if not self._known or self._now_ms() >= self._read_again_ms:
            valid_s = CACHE_S
            try:
                self._known = tuple(self._read())
            except (BotoCoreError, ClientError) as error:
                _logger.warning("The secret could not be read: %s", code(error))
                if not self._known:
                    raise UnavailableError("The secret could not be checked; please try again.") from error
                valid_s = _RETRY_S
            self._read_again_ms = self._now_ms() + 1000 * valid_s
        return self._known

    def _read(self) -> Iterator[str]:
        """Yield the secret that callers shall send, then the one that they may go on to send while it has its label."""
        yield self._client.get_secret_value(SecretId=self._arn, VersionStage=_CURRENT)["SecretString"]
        try:
            yield self._client.get_secret_value(SecretId=self._arn, VersionStage=_PREVIOUS)["SecretString"]
        except self._client.exceptions.ResourceNotFoundException:
            return  # it was never changed, or the label was taken away
