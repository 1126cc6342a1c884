"""The command for AWS, as short as it can be: the real functions in the emulator, and calls of theirs that go wrong."""

import argparse

import pytest

from lab.chaos.aws import driver

pytestmark = pytest.mark.lab


def given(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    driver.add_arguments(parser)
    return parser.parse_args(arguments)


@pytest.mark.emulator
@pytest.mark.long
def test_thirty_tasks_are_accounted_for_while_calls_go_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    kept = driver.run(given("--tasks", "30", "--rate", "0.1", "--seconds", "20", "--seed", "7"))
    said = capsys.readouterr().out
    assert kept, said
    assert "30 accepted = " in said
    assert "None lost, none early, none twice" in said
    assert "make chaos ARGS='aws --tasks 30 --rate 0.1 --seconds 20 --seed 7'" in said
    for operation in ("GetSecretValue", "PutItem", "StartExecution", "TransactWriteItems"):
        assert f"  {operation} " in said, "its calls do not come by the proxy"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--rate", "1.5"], "must be a number from 0 to 1, not '1.5'"),
        (["--rate", "nan"], "must be a number from 0 to 1, not 'nan'"),
        (["--tasks", "0"], "must be a number from 1 to 1e+09, not '0'"),
        (["--tasks", "2.5"], "invalid int value: '2.5'"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        given(*arguments)
    assert sentence in capsys.readouterr().err
