"""Announces sunrise and sunset at a place, every day: sun.py LATITUDE LONGITUDE NAME TIMEZONE.

Each event schedules the one that follows it, so the program keeps nothing. It may be stopped and started at any time,
and run twice: the idempotency key makes sure that there is one sunrise for a place and a day. It asks no clock: what
time it is comes with each event.
"""

import argparse
import json
import sys
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from zoneinfo import ZoneInfo

from astral import Observer, SunDirection
from astral.sun import SUN_APPARENT_RADIUS, time_of_transit

from task_scheduler.client import Client, Event, KeyConflictError, TaskSchedulerError

DIRECTIONS = {"sunrise": SunDirection.RISING, "sunset": SunDirection.SETTING}
ZENITH = 90 + SUN_APPARENT_RADIUS  # degrees; the upper rim of the sun touches the horizon
DAY = timedelta(days=1)
YEAR = 366  # days; every place but the poles has a sunrise within a year
NEWEST = 2**63 - 1  # a number that no event has

Place = dict[str, str | float]


def moment(kind: str, place: Place, day: date) -> datetime | None:
    """Return when it happens on a day by the sun at the place, from midnight to midnight; None if it does not.

    `time_of_transit` is what is behind astral's `sunrise` and `sunset`. They go by the calendar, and in summer in the
    far north a date may have two sunsets, and the next one none.
    """
    observer = Observer(float(place["latitude"]), float(place["longitude"]))
    try:
        return time_of_transit(observer, day, ZENITH, DIRECTIONS[kind]).replace(microsecond=0)
    except ValueError:  # the sun stays above the horizon, or below it
        return None


def following(kind: str, place: Place, first: date, after: datetime) -> tuple[date, datetime] | None:
    """Return the next day, `first` at the earliest, on which it happens after a time, and when."""
    for days in range(YEAR + 2):
        day = first + days * DAY
        at = moment(kind, place, day)
        if at and at > after:
            return day, at
    return None


def schedule_next(scheduler: Client, kind: str, place: Place, first: date, after: datetime) -> None:
    """Schedule the next sunrise or sunset, unless it is scheduled already."""
    found = following(kind, place, first, after)
    if found is None:
        print(f"{place['name']} has no {kind} within a year.", flush=True)
        return
    day, at = found
    key = sha256(json.dumps([kind, place, day.isoformat()], sort_keys=True).encode()).hexdigest()
    with suppress(KeyConflictError):  # scheduled before, for another second: by another version of astral
        scheduler.schedule(at, {"sun": kind, "place": place, "day": day.isoformat()}, idempotency_key=key)


def handle(scheduler: Client, place: Place, event: Event) -> None:
    """Announce an event of this place, and schedule the one that follows it."""
    match event.message:
        case {"sun": "start", "place": found} if found == place:
            now = datetime.fromisoformat(event.event["timestamp"])
            for kind in DIRECTIONS:
                schedule_next(scheduler, kind, place, now.date() - DAY, now)
        case {"sun": ("sunrise" | "sunset") as kind, "place": found, "day": str(day)} if found == place:
            at = datetime.fromisoformat(event.event["timestamp"])
            local = at.astimezone(ZoneInfo(str(place["timezone"])))
            print(f"{local:%Y-%m-%d %H:%M:%S %Z} {kind} in {place['name']}", flush=True)
            schedule_next(scheduler, kind, place, date.fromisoformat(day) + DAY, datetime.min.replace(tzinfo=UTC))


def run(place: Place) -> None:
    """Start the chain of events, or find the one that runs, and follow it until Ctrl-C."""
    with Client() as scheduler:
        newest = scheduler.emitted(before=NEWEST, limit=1)
        position = newest[0].sequence if newest else 0  # asked before the start, so that its event cannot be missed
        scheduler.schedule_in(0, {"sun": "start", "place": place})
        for event in scheduler.events(after=position):
            handle(scheduler, place, event)


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("latitude", type=float, help="degrees, north is positive")
    parser.add_argument("longitude", type=float, help="degrees, east is positive")
    parser.add_argument("name")
    parser.add_argument("timezone", help="such as Europe/Berlin")
    place = vars(parser.parse_args())
    if not (-90 <= place["latitude"] <= 90 and -180 <= place["longitude"] <= 180):
        parser.error("latitude goes from -90 to 90, longitude from -180 to 180")
    try:
        ZoneInfo(place["timezone"])
    except (KeyError, ValueError, OSError):
        parser.error(f"there is no time zone {place['timezone']}")
    try:
        run(place)
    except (TaskSchedulerError, ValueError) as error:
        sys.exit(f"The program ends: {error}")  # started again, it goes on
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
