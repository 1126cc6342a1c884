"""API Gateway: its answer when Lambda has no execution environment left for a request."""

from contextvars import ContextVar
from typing import Any, Final

from ministack.services import apigateway_v1  # type: ignore[import-untyped]  # it has no types

_INTEGRATION_FAILURE: Final = "INTEGRATION_FAILURE"
_DEFAULT: Final = "DEFAULT_5XX"


def answer_throttled_functions_as_failed_integrations() -> None:
    """Answer by the gateway response INTEGRATION_FAILURE, and as status 500 where a template does not define it.

    Lambda answers API Gateway with 429, which ministack 1.5.33 passes on to the caller. Recorded on AWS:
    https://repost.aws/questions/QUL-z6rJbmR4meafB7MzYXxw/inconsistencies-in-response-codes-depending-on-whether-api-gateway-response-settings-are-configured
    """
    call, invoke, render = (
        apigateway_v1._call_lambda_raw,  # noqa: SLF001 - there is no other place to take hold of
        apigateway_v1._invoke_lambda_proxy_v1,  # noqa: SLF001 - the same
        apigateway_v1._gateway_error_response,  # noqa: SLF001 - the same
    )
    failure = apigateway_v1._GatewayError  # noqa: SLF001 - the same
    throttled: ContextVar[bool] = ContextVar("throttled", default=False)

    async def call_and_note(*given: Any, **named: Any) -> Any:  # noqa: ANN401 - as it was
        result, error = await call(*given, **named)
        throttled.set(bool(result and result.get("throttle")))
        return result, error

    async def invoke_or_fail(*given: Any, **named: Any) -> Any:  # noqa: ANN401 - as it was
        throttled.set(False)
        answer = await invoke(*given, **named)
        if throttled.get():
            return failure(_INTEGRATION_FAILURE, "Internal server error", "InternalServerErrorException")
        return answer

    def render_as_configured(error: Any, request: Any) -> Any:  # noqa: ANN401 - as it was
        responses = apigateway_v1._deployed_gateway_responses.get(request["api_id"], {})  # noqa: SLF001 - the same
        defined = responses.get(request["stage"].get("deploymentId"), {})
        if error.response_type == _INTEGRATION_FAILURE and _INTEGRATION_FAILURE not in defined:
            error = failure(_DEFAULT, error.message, error.error_type)
        return render(error, request)

    apigateway_v1._call_lambda_raw = call_and_note  # noqa: SLF001 - the same
    apigateway_v1._invoke_lambda_proxy_v1 = invoke_or_fail  # noqa: SLF001 - the same
    apigateway_v1._gateway_error_response = render_as_configured  # noqa: SLF001 - the same
