"""The HTTP API: one function for `GET /events`, which long-polls, and one for all other routes."""

from dataclasses import dataclass
from typing import Final

from aws_cdk import Acknowledgment, Validations
from aws_cdk import aws_apigateway as apigateway
from constructs import Construct

from task_scheduler.cdk.python_function import FunctionDefaults, PythonFunction

STAGE: Final = "v1"
EVENTS: Final = "events"

# An idle listener polls every 22 s, one of a busy stream three times a second. So the limit lets a tenth of
# the listeners be busy at any time, or all of them every few seconds; if only idle ones reach it, each for
# 22 s, they hold 9 Lambda environments a listener: with the default of 50, almost half of a usual account's 1,000.
POLLS_PER_SECOND_AND_LISTENER: Final = 0.4


@dataclass(frozen=True, kw_only=True)
class GatewayError:
    """An error response that API Gateway makes itself, in the format of the errors of this API."""

    type: apigateway.ResponseType
    sentence: str
    """JSON, or a variable of API Gateway."""
    status: int | None = None
    """None stands for the default status of the type."""
    retry_after_s: int | None = None


GATEWAY_ERRORS: Final = (
    GatewayError(type=apigateway.ResponseType.DEFAULT_4_XX, sentence="$context.error.messageString"),
    GatewayError(
        type=apigateway.ResponseType.DEFAULT_5_XX,
        sentence='"Something went wrong on our side. Please try again later."',
    ),
    GatewayError(
        type=apigateway.ResponseType.THROTTLED,
        sentence='"Too many requests. Please wait a second and try again."',
        retry_after_s=1,
    ),
    GatewayError(
        type=apigateway.ResponseType.REQUEST_TOO_LARGE, sentence='"The request body is larger than 1,048,576 bytes."'
    ),
    # API Gateway could not invoke the function, as a rule since Lambda had no execution environment left. It does not
    # count that as throttled, and would respond 500:
    # https://repost.aws/questions/QUL-z6rJbmR4meafB7MzYXxw/inconsistencies-in-response-codes-depending-on-whether-api-gateway-response-settings-are-configured
    GatewayError(
        type=apigateway.ResponseType.INTEGRATION_FAILURE,
        sentence='"The service could not handle the request at the moment. Please wait a second and try again."',
        status=503,
        retry_after_s=1,
    ),
    GatewayError(
        type=apigateway.ResponseType.INTEGRATION_TIMEOUT,
        sentence='"No response within 29 seconds; whether the request was carried out is not known."',
    ),
)


class Api(Construct):
    """A REST API with a regional endpoint: an edge-optimised one rejects a GET with a body."""

    def __init__(  # noqa: PLR0913 - keyword-only limits
        self,
        scope: Construct,
        construct_id: str,
        *,
        name: str,
        defaults: FunctionDefaults,
        requests_per_second: int,
        request_burst: int,
        stream_listeners: int,
        stream_reserved_concurrency: int | None,
    ) -> None:
        super().__init__(scope, construct_id)
        self.function: Final = PythonFunction(
            self,
            "Function",
            defaults=defaults,
            handler="api",
            description="Serves the API",
            timeout_seconds=20,
        )
        self.stream: Final = PythonFunction(
            self,
            "Stream",
            defaults=defaults,
            handler="stream",
            description="Serves GET /events, and waits for events if there are none",
            timeout_seconds=29,  # as long as API Gateway waits
            memory_mib=256,  # idle listeners pay for memory by the second
            reserved_concurrency=stream_reserved_concurrency,
        )
        api = apigateway.RestApi(
            self,
            "Rest",
            rest_api_name=name,
            endpoint_types=[apigateway.EndpointType.REGIONAL],
            # The functions get the unchanged bytes of the body, so that they reject bad UTF-8 instead of replacing it.
            binary_media_types=["*/*"],
            # An account has one role for CloudWatch in a region: this API would set it for all others.
            cloud_watch_role=False,
            deploy_options=apigateway.StageOptions(
                stage_name=STAGE,
                throttling_rate_limit=requests_per_second,
                throttling_burst_limit=request_burst,
                method_options={
                    f"/{EVENTS}/GET": apigateway.MethodDeploymentOptions(
                        throttling_rate_limit=POLLS_PER_SECOND_AND_LISTENER * stream_listeners,
                        throttling_burst_limit=2 * stream_listeners,
                    )
                },
            ),
        )
        api.node.try_remove_child("Endpoint")  # an output with a name of the CDK's; the stack defines its own
        integrated = integration(self.function)
        events = api.root.add_resource(EVENTS)
        for method in ("GET", "HEAD"):
            events.add_method(method, integration(self.stream))
        for resource in (api.root, events, api.root.add_resource("{proxy+}")):
            resource.add_method("ANY", integrated)
        for error in GATEWAY_ERRORS:
            api.add_gateway_response(
                error.type.response_type,
                type=error.type,
                status_code=str(error.status) if error.status else None,
                templates={"application/json": f'{{"errors":[{error.sentence}]}}'},
                response_headers={"Retry-After": f"'{error.retry_after_s}'"} if error.retry_after_s else None,
            )
        logging = "It needs a role for CloudWatch that the whole account and region shares; the functions log"
        Validations.of(api).acknowledge(
            Acknowledgment(id="AwsSolutions-APIG1", reason=logging),
            Acknowledgment(id="AwsSolutions-APIG6", reason=logging),
            Acknowledgment(id="Serverless-APIGWAccessLogging", reason=logging),
            Acknowledgment(id="Serverless-APIGWXrayEnabled", reason="Traces are paid for; the functions log"),
            Acknowledgment(
                id="AwsSolutions-APIG2", reason="The functions check each field and say what is wrong with it"
            ),
            Acknowledgment(
                id="AwsSolutions-APIG3", reason="A firewall is the account's choice, and has a monthly price"
            ),
            Acknowledgment(id="AwsSolutions-APIG4", reason="The functions compare the secret, in constant time"),
            Acknowledgment(id="AwsSolutions-COG4", reason="Callers are programs that hold a secret, not people"),
        )
        self.rest: Final = api


def integration(function: PythonFunction) -> apigateway.LambdaIntegration:
    """Forward whole requests to the function, which any method of this API may invoke."""
    return apigateway.LambdaIntegration(function, scope_permission_to_method=False)
