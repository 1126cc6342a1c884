"""Settings: their defaults and bounds, and the words for a wrong one."""

import dataclasses
from typing import Any, Final

import pytest
from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER  # type: ignore[import-untyped]  # it has no types

from emulator.tools import REGION
from stacks.settings import SettingError, Settings, shown


def test_the_defaults_are_within_their_own_bounds() -> None:
    assert Settings() == Settings.of({})


def test_text_from_the_command_line_becomes_what_is_meant() -> None:
    settings = Settings.of(
        {
            "secret": "off",
            "production": "on",
            "keep_tables": "false",
            "log_retention_days": "365",
            "arming_window_days": "0.25",
            "stream_reserved_concurrency": "10",
            "stack": "TaskSchedulerStaging",
            "subscribers": "https://example.com/hook?a=1, someone@example.com",
        }
    )
    assert settings == Settings(
        secret=False,
        production=True,
        keep_tables=False,
        log_retention_days=365,
        arming_window_days=0.25,
        stream_reserved_concurrency=10,
        stack="TaskSchedulerStaging",
        subscribers=("https://example.com/hook?a=1", "someone@example.com"),
    )


def test_values_from_toml_mean_the_same() -> None:
    context = {
        "secret": False,
        "log_retention_days": 365,
        "arming_window_days": 1,
        "subscribers": ["https://example.com/a,b"],
    }
    assert Settings.of(context) == Settings(
        secret=False, log_retention_days=365, arming_window_days=1, subscribers=("https://example.com/a,b",)
    )


@pytest.mark.parametrize("nobody", ["", " ", [], ()])
def test_nobody_need_subscribe(nobody: object) -> None:
    assert Settings.of({"subscribers": nobody}) == Settings()


def test_a_subscriber_that_is_given_twice_subscribes_once() -> None:
    assert Settings.of({"subscribers": "a@example.com,a@example.com"}).subscribers == ("a@example.com",)


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://example.com",
        "https://",
        "https:///path",
        "https://example.com/a b",
        "https://[example.com/secret",
        "someone@localhost",
        "@example.com",
        "someone",
        "mailto:someone@example.com",
        "arn:aws:sqs:us-east-1:123456789012:orders.fifo",
        "arn:aws:sqs:us-east-1:1234:orders",
        "arn:aws:lambda:us-east-1:123456789012:orders",
        "arn:aws:sns:us-east-1:123456789012:orders",
        "arn:aws:lambda:us-east-1:123456789012:function:",
    ],
)
def test_what_cannot_subscribe_is_refused_by_name(endpoint: str) -> None:
    with pytest.raises(SettingError) as refused:
        Settings.of({"subscribers": ["https://example.com", endpoint]})
    assert str(refused.value) == (
        "subscribers must be https URLs, email addresses, or ARNs of SQS queues (not FIFO) or Lambda functions, "
        f"not {shown(endpoint)!r}."
    )


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        ("https://user:token@hooks.example.com/services/secret?key=1", "https://hooks.example.com/ (path not shown)"),
        ("http://hooks.example.com/services/secret", "http://hooks.example.com/ (path not shown)"),
        ("https://[hooks.example.com/services/secret", "https:/// (path not shown)"),
        ("someone@example.com", "someone@example.com"),
        ("arn:aws:sqs:us-east-1:123456789012:orders", "arn:aws:sqs:us-east-1:123456789012:orders"),
    ],
)
def test_what_is_shown_of_a_subscriber_holds_no_secret_and_cannot_subscribe(endpoint: str, expected: str) -> None:
    assert shown(endpoint) == expected
    if "://" in endpoint:
        with pytest.raises(SettingError):
            Settings.of({"subscribers": [expected]})


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("secret", "maybe", "secret must be true or false, not 'maybe'."),
        ("secret", None, "secret must be true or false, not None."),
        ("production", "1", "production must be true or false, not '1'."),
        ("log_retention_days", "31", "log_retention_days must be one of 1, 3, 5, 7, 14, 30,"),
        ("task_retention_days", "0", "task_retention_days must be a whole number from 1 to 3650, not '0'."),
        (
            "task_retention_days",
            "1.5",
            "task_retention_days must be a whole number from 1 to 3650, not '1.5'.",
        ),
        (
            "event_retention_days",
            True,
            "event_retention_days must be a whole number from 1 to 3650, not True.",
        ),
        ("arming_window_days", "361", "arming_window_days must be a number from"),
        ("arming_window_days", 0, "arming_window_days must be a number from"),
        ("arming_window_days", "nan", "arming_window_days must be a number from"),
        ("arming_window_days", "a year", "to 360, not 'a year'."),
        ("stream_listeners", "-5", "stream_listeners must be a whole number from 1 to 1000, not '-5'."),
        ("request_burst", "5001", "request_burst must be a whole number from 1 to 5000, not '5001'."),
        ("subscribers", 5, "subscribers must be a list of texts, not 5."),
        ("subscribers", "https://example.com,,", "Lambda functions, not ''."),
        ("stack", "task scheduler", "stack must be 1 to 40 letters, digits and hyphens, a letter first, not"),
        ("stack", "1st", "stack must be 1 to 40 letters"),
        ("stack", True, "stack must be 1 to 40 letters"),
        ("alarm_email", ["ops@example.com"], "alarm_email must be an email address, not ['ops@example.com']."),
        ("alarm_email", "<ops@example.com>", "alarm_email must be an email address"),
        ("alarm_email", "hooks.example.com/secret", "an email address, not 'hooks.example.com/ (path not shown)'."),
        ("subscribers", [["someone@example.com"]], "subscribers must be a list of texts"),
    ],
)
def test_a_wrong_value_is_refused_with_the_name_of_its_setting(name: str, value: object, sentence: str) -> None:
    with pytest.raises(SettingError) as refused:
        Settings.of({f"{name}": value})
    assert sentence in str(refused.value)


def test_every_mistake_is_named_at_once() -> None:
    with pytest.raises(SettingError, match=r"^secret must be .+\. stream_listeners must be .+\.$"):
        Settings.of({"secret": "?", "stream_listeners": "?"})


def test_a_setting_that_does_not_exist_is_rejected_with_those_that_do() -> None:
    with pytest.raises(SettingError) as rejected:
        Settings.of({"secrets": "off"})
    assert str(rejected.value).startswith("secrets is not a setting. The settings are ")
    for setting in dataclasses.fields(Settings):
        assert setting.name in str(rejected.value)


@pytest.mark.parametrize("nothing", [None, ""])
def test_a_setting_without_a_default_can_be_set_to_nothing(nothing: object) -> None:
    assert Settings.of({"alarm_email": nothing, "stream_reserved_concurrency": nothing}) == Settings()


NUMBERS: Final[dict[str, tuple[int, int]]] = {
    "task_retention_days": (1, 3650),
    "event_retention_days": (1, 3650),
    "recorder_concurrency": (2, 1000),
    "stream_listeners": (1, 1000),
    "stream_reserved_concurrency": (1, 1000),
    "requests_per_second": (1, 10_000),
    "request_burst": (1, 5000),
}


def accepts(name: str, value: object) -> bool:
    """Tell whether a setting takes a value, which it then has as it was given."""
    try:
        return bool(getattr(Settings.of({name: value}), name) == value)
    except SettingError:
        return False


@pytest.mark.parametrize("name", NUMBERS)
def test_a_whole_number_is_accepted_within_its_bounds_only(name: str) -> None:
    low, high = NUMBERS[name]
    assert [accepts(name, value) for value in (low - 1, low, high, high + 1)] == [False, True, True, False]


def test_the_arming_window_is_from_a_second_to_360_days() -> None:
    values = (0.99 / 86_400, 1 / 86_400, 360, 360.001)
    assert [accepts("arming_window_days", value) for value in values] == [False, True, True, False]


def test_logs_are_kept_as_long_as_cloudwatch_offers() -> None:
    schema: Any = PROVIDER_SCHEMA_MANAGER.get_resource_schema(REGION, "AWS::Logs::LogGroup")
    offered = schema.schema["properties"]["RetentionInDays"]["enum"]
    assert [days for days in range(max(offered) + 2) if accepts("log_retention_days", days)] == sorted(offered)


def test_the_name_of_a_stack_has_1_to_40_characters() -> None:
    names = ("", "a", "a" * 40, "a" * 41, "-a", "a-1", "a_1", "a\n")
    assert [accepts("stack", name) for name in names] == [False, True, True, False, False, True, False, False]


@pytest.mark.parametrize("name", ["secret", "production", "keep_tables", "dashboard"])
def test_a_switch_takes_four_words_in_either_case(name: str) -> None:
    for text, value in {"on": True, "TRUE": True, "off": False, "False": False}.items():
        assert getattr(Settings.of({name: text}), name) is value
    assert not any(accepts(name, value) for value in ("yes", "no", "1", 1, 0, "", None))
