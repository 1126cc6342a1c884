"""An app whose trial ends after 30 days, tested in milliseconds; the fixture `scheduler` is in conftest.py."""

import pytest

from task_scheduler.client import Client, Event


class Shop:
    """The app: here two lists instead of a database."""

    def __init__(self, scheduler: Client) -> None:
        self._scheduler = scheduler
        self.on_trial: set[str] = set()
        self.paying: set[str] = set()

    def sign_up(self, user: str) -> None:
        """Start the trial; a repeated request changes nothing."""
        self._scheduler.schedule_in(
            "23d", {"trial": "reminder"}, tags={"trial": user}, idempotency_key=f"remind {user}"
        )
        self._scheduler.schedule_in("30d", {"trial": "end"}, tags={"trial": user}, idempotency_key=f"end {user}")
        self.on_trial.add(user)

    def buy(self, user: str) -> None:
        """Take the end of the trial back."""
        self._scheduler.cancel_tagged("trial", user)
        self.on_trial.discard(user)
        self.paying.add(user)

    def receive(self, event: Event) -> str | None:
        """Do what is due; returns the text of an email."""
        user = event.event["tags"]["trial"]
        if user not in self.on_trial:
            return None  # bought in the very moment
        if event.message["trial"] == "end":
            self.on_trial.discard(user)
            return f"{user}, your trial has ended."
        return f"{user}, your trial ends in a week."


@pytest.fixture
def shop(scheduler):
    return Shop(scheduler.client)


def test_a_trial_ends_after_30_days_and_a_reminder_comes_before(scheduler, shop):
    shop.sign_up("luke")
    assert scheduler.advance("22d") == []
    [reminder] = scheduler.advance("1d")
    assert shop.receive(reminder) == "luke, your trial ends in a week."
    [end] = scheduler.advance("7d")
    assert shop.receive(end) == "luke, your trial has ended."
    assert shop.on_trial == set()


def test_who_buys_hears_nothing_more(scheduler, shop):
    shop.sign_up("leia")
    scheduler.advance("10d")
    shop.buy("leia")
    assert scheduler.advance("365d") == []
    assert shop.paying == {"leia"}


def test_signing_up_twice_is_one_trial(scheduler, shop):
    shop.sign_up("han")
    shop.sign_up("han")
    assert len(scheduler.advance("30d")) == 2
