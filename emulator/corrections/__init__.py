"""Where ministack differs from AWS, set right inside its process: a module per service, a function per fact.

How often and how much the emulator does what AWS does only at times is in `emulator.rules.Strictness`.
"""

from emulator.corrections import (
    apigateway,
    cloudwatch,
    dynamodb,
    eventbridge,
    lambda_functions,
    secretsmanager,
    server,
    sns,
    stepfunctions,
)
from emulator.rules import Every, Lag, Strictness


def apply() -> None:
    """Correct the emulator, before it starts."""
    strictness = Strictness.of()
    server.listen_on_one_port()
    server.stop_in_time()
    server.lose_idle_connections(strictness.idle_s)
    stepfunctions.publish_with_the_role_of_the_machine()
    stepfunctions.start_idempotently()
    stepfunctions.reject_invalid_starts()
    stepfunctions.wait_until_the_whole_second()
    stepfunctions.stop_a_finished_execution_in_two_ways()
    stepfunctions.leave_finished_executions_alone()
    stepfunctions.describe_executions_late(Lag(strictness.lag_s))
    stepfunctions.throttle({**stepfunctions.QUOTAS, **strictness.quotas})
    dynamodb.read_late(Lag(strictness.lag_s))
    sns.reject_invalid_messages()
    sns.discard_what_queues_reject()
    sns.deliver_more_than_once_and_out_of_order(
        Every(strictness.duplicate_every),
        strictness.duplicate_after_s,
        Every(strictness.delay_every),
        strictness.delay_s,
    )
    eventbridge.invoke_twice(Every(strictness.schedule_twice_every))
    lambda_functions.reserve_concurrency()
    lambda_functions.unpack_code_once()
    secretsmanager.generate_passwords_as_aws_does()
    secretsmanager.refer_to_secrets_by_arn()
    secretsmanager.reject_taken_names()
    cloudwatch.accept_metric_math()
    apigateway.answer_for_functions_by_gateway_responses()
