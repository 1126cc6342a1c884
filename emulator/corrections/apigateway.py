"""API Gateway: its gateway responses where it could not invoke a function, or where the function failed."""

from collections.abc import Mapping
from contextvars import ContextVar
from fnmatch import fnmatchcase
from typing import Any, Final

from ministack.services import apigateway_v1, lambda_svc  # type: ignore[import-untyped]  # it has no types

_THROTTLED: Final = "INTEGRATION_FAILURE"
_DEFAULT: Final = "DEFAULT_5XX"
_FUNCTION_FAILED: Final = 502
_MESSAGE: Final = "Internal server error"
_ERROR_TYPE: Final = "InternalServerErrorException"


def answer_for_functions_by_gateway_responses() -> None:
    """Answer by a gateway response where Lambda rejected the invocation, or the function returned an error.

    Lambda rejects what its policy does not allow API Gateway (API_CONFIGURATION_ERROR), which ministack 1.5.33 does
    not ask, and what is beyond its concurrency (INTEGRATION_FAILURE, and as status 500 where a template does not
    define it), for which ministack passes the 429 on. A function that returned an error is a status 502 without its
    words, which ministack passes on. Sources:
    https://repost.aws/questions/QUL-z6rJbmR4meafB7MzYXxw/inconsistencies-in-response-codes-depending-on-whether-api-gateway-response-settings-are-configured
    https://docs.aws.amazon.com/lambda/latest/dg/services-apigateway-errors.html
    https://repost.aws/knowledge-center/api-gateway-rest-api-lambda-integrations
    That the response for a function's error is DEFAULT_5XX is the only one that its documentation leaves.
    """
    call, invoke, render = (
        apigateway_v1._call_lambda_raw,  # noqa: SLF001 - there is no other place to take hold of
        apigateway_v1._invoke_lambda_proxy_v1,  # noqa: SLF001 - the same
        apigateway_v1._gateway_error_response,  # noqa: SLF001 - the same
    )
    failure = apigateway_v1._GatewayError  # noqa: SLF001 - the same
    last: ContextVar[Mapping[str, Any]] = ContextVar("last")

    async def call_and_note(function: str, event: Mapping[str, Any], **scope: Any) -> Any:  # noqa: ANN401 - as it was
        if not _may_invoke(function, event, **scope):
            return None, "Invalid permissions on Lambda function"
        result, error = await call(function, event, **scope)
        last.set(result or {})
        return result, error

    async def invoke_or_fail(*given: Any, **named: Any) -> Any:  # noqa: ANN401 - as it was
        last.set({})
        answer = await invoke(*given, **named)
        if last.get().get("throttle"):
            return failure(_THROTTLED, _MESSAGE, _ERROR_TYPE)
        if last.get().get("error"):
            return failure(_DEFAULT, _MESSAGE, _ERROR_TYPE)
        return answer

    def render_as_configured(error: Any, request: Any) -> Any:  # noqa: ANN401 - as it was
        responses = apigateway_v1._deployed_gateway_responses.get(request["api_id"], {})  # noqa: SLF001 - the same
        defined = responses.get(request["stage"].get("deploymentId"), {})
        function_failed = error.response_type == _DEFAULT
        if error.response_type == _THROTTLED and _THROTTLED not in defined:
            error = failure(_DEFAULT, error.message, error.error_type)
        status, headers, body = render(error, request)
        if function_failed and not defined.get(_DEFAULT, {}).get("statusCode"):
            status = _FUNCTION_FAILED
        return status, headers, body

    apigateway_v1._call_lambda_raw = call_and_note  # noqa: SLF001 - the same
    apigateway_v1._invoke_lambda_proxy_v1 = invoke_or_fail  # noqa: SLF001 - the same
    apigateway_v1._gateway_error_response = render_as_configured  # noqa: SLF001 - the same


def _may_invoke(function: str, event: Mapping[str, Any], *, account_id: str, region: str) -> bool:
    """Tell whether the policy of a function allows the invocation by this method of this stage."""
    record, _, _ = lambda_svc._get_func_record_for_ref_in_scope(function, account_id=account_id, region=region)  # noqa: SLF001 - there is no other
    if record is None:
        return True  # it is not there, and the call will say so
    asked = event["requestContext"]
    path = f"{asked['apiId']}/{asked['stage']}/{asked['httpMethod']}{asked['resourcePath']}"
    source = f"arn:aws:execute-api:{region}:{account_id}:{path}"
    return any(_allows(statement, source) for statement in record["policy"]["Statement"])


def _allows(statement: Mapping[str, Any], source: str) -> bool:
    principal = statement["Principal"]
    pattern = statement.get("Condition", {}).get("ArnLike", {}).get("AWS:SourceArn", "*")
    return (
        statement["Effect"] == "Allow"
        and (principal == "*" or principal.get("Service") == "apigateway.amazonaws.com")
        and fnmatchcase(source, pattern)
    )
