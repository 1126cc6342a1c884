"""Where ministack differs from AWS, set right inside its process: a module per service, a function per fact."""

from emulator.corrections import apigateway, cloudwatch, secretsmanager, server, stepfunctions


def apply() -> None:
    """Correct the emulator, before it starts."""
    server.listen_on_one_port()
    server.stop_in_time()
    stepfunctions.publish_with_the_role_of_the_machine()
    secretsmanager.generate_passwords_as_aws_does()
    secretsmanager.refer_to_secrets_by_arn()
    cloudwatch.accept_metric_math()
    apigateway.answer_throttled_functions_as_failed_integrations()
