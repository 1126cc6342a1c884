"""Secrets Manager: how it generates passwords and which requests it rejects, and what CloudFormation calls a secret."""

import json
import secrets
import string
from collections.abc import Mapping
from typing import Any, Final

from ministack.core.responses import (  # type: ignore[import-untyped]  # it has no types
    error_response_json,
    json_response,
)
from ministack.services import secretsmanager  # type: ignore[import-untyped]  # the same
from ministack.services.cloudformation import provisioners  # type: ignore[import-untyped]  # the same

_CLASSES: Final[Mapping[str, str]] = {
    "ExcludeLowercase": string.ascii_lowercase,
    "ExcludeUppercase": string.ascii_uppercase,
    "ExcludeNumbers": string.digits,
    "ExcludePunctuation": string.punctuation,
}
"""Each switch with the characters that it turns off."""

_SCHEDULED_FOR_DELETION: Final = (
    "You can't create this secret because a secret with this name is already scheduled for deletion."
)

_DEFAULT_LENGTH: Final = 32
_MAX_LENGTH: Final = 4096

Request = Mapping[str, Any]
"""The parameters of GetRandomPassword, which are also those of GenerateSecretString."""


class InvalidParameterError(ValueError):
    """Secrets Manager rejects the request; the text is its message."""


def random_password(request: Request) -> str:
    """Generate a password; raises InvalidParameterError where Secrets Manager does.

    Parameters and limits: https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetRandomPassword.html
    A class that is not switched off but has all its characters excluded is rejected, as RequireEachIncludedType is true
    by default: measured by the author of cdk-preflight (rule pf-secretsmanager-generate-secret-string).
    """
    length = int(request.get("PasswordLength", _DEFAULT_LENGTH))
    if not 1 <= length <= _MAX_LENGTH:
        raise InvalidParameterError(f"PasswordLength must be between 1 and {_MAX_LENGTH}.")
    included = [characters for switch, characters in _CLASSES.items() if not _is_on(request, switch)]
    if _is_on(request, "IncludeSpace"):
        included.append(" ")
    excluded = request.get("ExcludeCharacters", "")
    left = [[one for one in characters if one not in excluded] for characters in included]
    each = _is_on(request, "RequireEachIncludedType", default=True)
    if not any(left) or (each and not all(left)):
        raise InvalidParameterError("All characters of the desired type have been excluded.")
    if each and length < len(left):
        raise InvalidParameterError("The password length is too short for the required character types.")
    every = [one for characters in left for one in characters]
    password = [secrets.choice(characters) for characters in left] if each else []
    password += [secrets.choice(every) for _ in range(length - len(password))]
    secrets.SystemRandom().shuffle(password)
    return "".join(password)


def generate_passwords_as_aws_does() -> None:
    """Generate by `random_password`, for GetRandomPassword and for templates.

    ministack 1.5.33 ignores ExcludePunctuation and its like in templates, and rejects nothing.
    """

    def get_random_password(request: Request) -> Any:  # noqa: ANN401 - ministack's own
        try:
            return json_response({"RandomPassword": random_password(request)})
        except InvalidParameterError as error:
            return error_response_json("InvalidParameterException", str(error), 400)

    secretsmanager._get_random_password = get_random_password  # noqa: SLF001 - there is no other place to take hold of
    provisioners._sm_secret_string = secret_string  # noqa: SLF001 - the same


def secret_string(properties: Request) -> str:
    """Return the value that a template gives a secret; raises InvalidParameterError, which fails the resource.

    A value is given or generated, not both, and a template and the key for it come together:
    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-resource-secretsmanager-secret.html and
    https://github.com/aws/aws-cdk/issues/5951, which has the failure of a deployment.
    """
    generate = properties.get("GenerateSecretString")
    if generate is None:
        return str(properties.get("SecretString", ""))
    if "SecretString" in properties:
        raise InvalidParameterError("You can specify either SecretString or GenerateSecretString, not both.")
    template, key = generate.get("SecretStringTemplate"), generate.get("GenerateStringKey")
    if (template is None) != (key is None):
        raise InvalidParameterError(
            "SecretStringTemplate and GenerateStringKey must both be specified or both be empty."
        )
    password = random_password(generate)
    return password if template is None else json.dumps(json.loads(template) | {key: password})


def reject_taken_names() -> None:
    """Create no secret whose name another one has, or had until a deletion whose recovery window is not over.

    In templates only a name that they give, as a generated one ends with random characters on AWS. ministack 1.5.33
    overwrites the secret that has the name. https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html;
    the sentence for the recovery window is in https://github.com/redpanda-data/console/issues/1835
    """
    create_secret = secretsmanager._create_secret  # noqa: SLF001 - the same
    handlers = provisioners._RESOURCE_HANDLERS["AWS::SecretsManager::Secret"]  # noqa: SLF001 - the same
    create = handlers["create"]

    def create_unless_deleted(request: Request) -> Any:  # noqa: ANN401 - ministack's own
        secret = secretsmanager._secrets.get(request.get("Name"))  # noqa: SLF001 - the same
        if secret and secret["DeletedDate"]:
            return error_response_json("InvalidRequestException", _SCHEDULED_FOR_DELETION, 400)
        return create_secret(request)

    def create_unless_taken(logical_id: str, properties: Request, stack: str) -> Any:  # noqa: ANN401 - ministack's own
        name = properties.get("Name")
        secret = secretsmanager._secrets.get(name) if name else None  # noqa: SLF001 - the same
        if secret:
            taken = f"The operation failed because the secret {name} already exists."
            raise InvalidParameterError(_SCHEDULED_FOR_DELETION if secret["DeletedDate"] else taken)
        return create(logical_id, properties, stack)

    secretsmanager._create_secret = create_unless_deleted  # noqa: SLF001 - the same
    handlers["create"] = create_unless_taken


def refer_to_secrets_by_arn() -> None:
    """Let `Ref` return the ARN of a secret, where ministack 1.5.33 returns its name.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-resource-secretsmanager-secret.html
    """
    handlers = provisioners._RESOURCE_HANDLERS["AWS::SecretsManager::Secret"]  # noqa: SLF001 - the same
    create, update, delete = (handlers[verb] for verb in ("create", "update", "delete"))

    def name_of(arn: str) -> str:
        found = (name for name, secret in secretsmanager._secrets.items() if secret["ARN"] == arn)  # noqa: SLF001 - the same
        return next(found, arn)

    def with_arn(created: tuple[str, dict[str, str]]) -> tuple[str, dict[str, str]]:
        _name, attributes = created
        return attributes["Id"], attributes

    handlers["create"] = lambda *given: with_arn(create(*given))
    handlers["update"] = lambda arn, *given, **named: with_arn(update(name_of(arn), *given, **named))
    handlers["delete"] = lambda arn, properties: delete(name_of(arn), properties)


def _is_on(request: Request, name: str, *, default: bool = False) -> bool:
    """Read a switch, which JSON has as true and templates often as "true"."""
    return str(request.get(name, default)).lower() == "true"
