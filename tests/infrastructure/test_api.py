"""The REST API of the template."""

import json
from typing import Final

import pytest

from task_scheduler.api.errors import BodyTooLargeError
from task_scheduler.api.json_body import read_object
from task_scheduler.contract import MAX_BODY_BYTES
from tests.support.synthesis import Synthesis

IDLE_POLL_S: Final = 25


def limits(stack: Synthesis, path: str, method: str) -> tuple[float, int]:
    """Return requests per second and burst of a method of the stage."""
    [found] = [
        setting
        for setting in stack.resource("ApiGateway::Stage").properties["MethodSettings"]
        if (setting["ResourcePath"], setting["HttpMethod"]) == (path, method)
    ]
    return found["ThrottlingRateLimit"], found["ThrottlingBurstLimit"]


def routes(stack: Synthesis) -> dict[str, str]:
    """Return which function answers each method of each resource."""
    found = {}
    for method in stack.resources("ApiGateway::Method"):
        integration = method.properties["Integration"]
        assert (integration["Type"], integration["IntegrationHttpMethod"]) == ("AWS_PROXY", "POST")
        function = stack.text(integration["Uri"]).rpartition("/functions/")[2]
        found[method.path.removeprefix("Api/Rest/")] = function.removesuffix(".Arn>/invocations").lstrip("<")
    return found


def test_the_stream_of_events_has_a_function_of_its_own(stack: Synthesis) -> None:
    assert routes(stack) == {
        "ANY": "Api/Function",
        "{proxy+}/ANY": "Api/Function",
        "events/ANY": "Api/Function",
        "events/GET": "Api/Stream",
        "events/HEAD": "Api/Stream",
    }


def test_no_route_asks_for_credentials_of_aws(stack: Synthesis) -> None:
    for method in stack.resources("ApiGateway::Method"):
        assert method.properties["AuthorizationType"] == "NONE"


def test_the_endpoint_is_regional_so_that_a_get_may_have_a_body(stack: Synthesis) -> None:
    assert stack.resource("ApiGateway::RestApi").properties["EndpointConfiguration"] == {"Types": ["REGIONAL"]}


def test_bodies_reach_the_functions_as_the_bytes_they_are(stack: Synthesis) -> None:
    assert stack.resource("ApiGateway::RestApi").properties["BinaryMediaTypes"] == ["*/*"]


def test_only_this_api_may_call_its_functions(stack: Synthesis) -> None:
    permissions = stack.resources("Lambda::Permission", under="Api/")
    assert len(permissions) == 2
    for permission in permissions:
        assert permission.properties["Principal"] == "apigateway.amazonaws.com"
        assert ":<Api/Rest>/" in stack.text(permission.properties["SourceArn"])


def test_the_role_that_all_apis_of_an_account_share_is_left_alone(stack: Synthesis) -> None:
    assert not stack.resources("ApiGateway::Account")


def test_listeners_have_a_limit_of_their_own(stack: Synthesis) -> None:
    everything, burst = limits(stack, "/*", "*")
    listening, listening_burst = limits(stack, "/~1events", "GET")
    assert (everything, burst) == (500, 1000)
    assert listening < everything
    assert listening_burst == 2 * 50, "all listeners may come back at the same moment, and once more"


def test_idle_listeners_at_their_limit_leave_half_of_a_usual_account_to_the_others(stack: Synthesis) -> None:
    listening, _ = limits(stack, "/~1events", "GET")
    assert listening * IDLE_POLL_S <= 1000 / 2


def test_the_limits_follow_the_settings(other_stack: Synthesis) -> None:
    assert limits(other_stack, "/*", "*") == (50, 80)
    assert limits(other_stack, "/~1events", "GET") == (4, 20)
    [stream] = other_stack.resources("Lambda::Function", under="Api/Stream")
    assert stream.properties["ReservedConcurrentExecutions"] == 20


def test_no_concurrency_is_reserved_unless_asked_for(stack: Synthesis) -> None:
    for function in stack.resources("Lambda::Function"):
        assert "ReservedConcurrentExecutions" not in function.properties


def test_what_api_gateway_answers_itself_has_the_shape_of_our_errors(stack: Synthesis) -> None:
    answers = {answer.properties["ResponseType"]: answer for answer in stack.resources("ApiGateway::GatewayResponse")}
    assert {"DEFAULT_4XX", "DEFAULT_5XX", "THROTTLED", "REQUEST_TOO_LARGE"} <= answers.keys()
    for answer in answers.values():
        [(media_type, template)] = answer.properties["ResponseTemplates"].items()
        body = json.loads(template.replace("$context.error.messageString", '"Forbidden"'))
        assert media_type == "application/json"
        [sentence] = body.pop("errors")
        assert sentence
        assert not body


def test_a_body_that_api_gateway_refuses_is_refused_in_our_words(stack: Synthesis) -> None:
    [refusal] = stack.resources("ApiGateway::GatewayResponse", under="Api/Rest/REQUEST_TOO_LARGE")
    with pytest.raises(BodyTooLargeError) as ours:
        read_object(b" " * (MAX_BODY_BYTES + 1))
    template = refusal.properties["ResponseTemplates"]["application/json"]
    assert json.loads(template) == {"errors": [str(ours.value)]}


def test_who_is_throttled_is_told_when_to_try_again(stack: Synthesis) -> None:
    [throttled] = stack.resources("ApiGateway::GatewayResponse", under="Api/Rest/THROTTLED")
    assert throttled.properties["ResponseParameters"] == {"gatewayresponse.header.Retry-After": "'1'"}


def test_a_request_for_which_lambda_has_no_capacity_is_answered_with_503_and_retry_after(stack: Synthesis) -> None:
    """Without a response of its own API Gateway answers 500, which our client does not retry."""
    [failure] = stack.resources("ApiGateway::GatewayResponse", under="Api/Rest/INTEGRATION_FAILURE")
    assert failure.properties["StatusCode"] == "503"
    assert failure.properties["ResponseParameters"] == {"gatewayresponse.header.Retry-After": "'1'"}


def test_a_changed_answer_is_deployed(stack: Synthesis) -> None:
    """A deployment is a snapshot: what it does not depend on is in it or not, as chance has it."""
    needed = set(stack.resource("ApiGateway::Deployment").whole["DependsOn"])
    for kind in ("ApiGateway::Method", "ApiGateway::GatewayResponse"):
        for resource in stack.resources(kind):
            assert any(stack.template["Resources"][name] is resource.whole for name in needed), resource.path
