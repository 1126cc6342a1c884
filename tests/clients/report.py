"""The line at the end of a test run that says which clients were tested."""

import pytest

_PROPERTY = "client"


def note(item: pytest.Item, name: str) -> None:
    """Note the client that a test is about; pytest-xdist passes that on."""
    item.user_properties.append((_PROPERTY, name))


def summarize(terminal: pytest.TerminalReporter) -> None:
    """Write which clients ran and which did not."""
    tested: set[str] = set()
    missing: dict[str, str] = {}
    for outcome in ("passed", "failed", "error", "skipped"):
        for report in terminal.stats.get(outcome, []):
            names = {value for name, value in getattr(report, "user_properties", []) if name == _PROPERTY}
            if outcome == "skipped":
                reason = report.longrepr[2].removeprefix("Skipped: ")
                missing |= dict.fromkeys(names, reason)
            else:
                tested |= names
    if tested:
        terminal.write_line(f"Clients that were tested: {', '.join(sorted(tested))}.")
    if untested := [f"{name} ({reason})" for name, reason in sorted(missing.items()) if name not in tested]:
        terminal.write_line(f"Clients that were not: {', '.join(untested)}.")
