"""Short runs of the load generator and of both drivers of faults."""

import re

import pytest

from lab.__main__ import main
from lab.bench.load import OPERATIONS

pytestmark = pytest.mark.slow


def test_a_load_accounts_for_what_it_sent(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["load", "--rate", "60", "--seconds", "2", "--streams", "5", "--seed", "test"])
    printed = capsys.readouterr().out
    assert code == 0, printed
    assert "WRONG" not in printed
    assert {line.split()[0] for line in printed.splitlines() if line} >= {*OPERATIONS, "emitted", "streams", "server"}
    [sent] = re.findall(r"sent +([\d,]+) requests", printed)
    outcomes = re.findall(r"^(?:schedule|cancel|show|list) +(\w+) +([\d,]+)", printed, re.MULTILINE)
    assert {outcome for outcome, _ in outcomes} <= {"200", "409"}
    assert sum(int(count.replace(",", "")) for _, count in outcomes) == int(sent.replace(",", ""))


def test_nothing_is_violated_by_the_local_engine_under_faults(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["chaos", "local", "--seconds", "4", "--every", "1", "--rate", "40", "--seed", "short"])
    printed = capsys.readouterr().out
    assert code == 0, printed
    assert "None lost, none early, none twice" in printed
    assert "160 accepted = " in printed


@pytest.mark.emulator
@pytest.mark.long
def test_nothing_is_violated_by_the_aws_engine_under_faults(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["chaos", "aws", "--tasks", "30", "--rate", "0.1", "--seconds", "20", "--seed", "7"])
    printed = capsys.readouterr().out
    assert code == 0, printed
    assert "30 accepted = " in printed
    assert "None lost, none early, none twice" in printed
    for operation in ("GetSecretValue", "PutItem", "StartExecution", "TransactWriteItems"):
        assert f"  {operation} " in printed, "its calls do not come by the proxy"
