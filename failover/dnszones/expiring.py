"""Credentials that end soon or have ended, by the day that the policy tells. Knows no DNS: `status` asks it at every look."""

from datetime import date, timedelta

EXPIRY_WARNING = timedelta(days=14)


def expiry(until: str, today: date) -> tuple[str, ...]:
    """A sentence about credentials that end soon or have ended. `until`: ISO date, "" for never."""
    if not until:
        return ()
    day = date.fromisoformat(until)
    if day < today:
        return (f"the credentials expired on {day}",)
    return (f"the credentials expire on {day}",) if day - today <= EXPIRY_WARNING else ()
