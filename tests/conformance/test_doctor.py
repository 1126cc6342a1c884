"""`task-scheduler doctor` finds nothing wrong with a deployment that keeps its promises."""

from task_scheduler.cli.doctor import examine
from task_scheduler.client import Client
from tests.support.api import Deployment


def test_a_deployment_that_works_is_well(deployment: Deployment) -> None:
    with Client(deployment.url, deployment.secret) as client:
        findings = list(examine(client, patience_s=60))
    assert not [finding.says for finding in findings if not finding.ok]
    assert [finding.check for finding in findings] == ["answer", "secret", "clock", "cancel", *["emit", "log"] * 2]
