"""The figures that a report has."""

import pytest

from lab.load.figures import percentile, spread

pytestmark = pytest.mark.lab


@pytest.mark.parametrize(
    ("share", "value"), [(0.5, 50), (0.9, 90), (0.99, 99), (0.01, 1), (0.001, 1), (1, 100), (0.985, 99)]
)
def test_a_percentile_is_a_value_that_enough_others_do_not_exceed(share: float, value: float) -> None:
    assert percentile([float(number) for number in range(1, 101)], share) == value


@pytest.mark.parametrize("share", [0.5, 0.99])
def test_the_percentile_of_one_value_is_that_value(share: float) -> None:
    assert percentile([7.0], share) == 7


def test_a_spread_is_of_values_in_any_order() -> None:
    assert spread(float(number) for number in range(100, 0, -1)).split() == ["50.0", "90.0", "99.0", "100.0"]


def test_nothing_has_no_spread() -> None:
    assert spread([]).split() == ["-"] * 4
