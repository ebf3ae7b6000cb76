"""Real buildings and the days of each on which methods are compared. The files are not part of this repository."""

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True)
class Window:
    """Midnight origins from the first day to the last, models refitted every seventh."""

    name: str
    what: str
    file: str
    first: date
    last: date


WINDOWS = [
    Window("rooms", "seven meeting rooms, 2 weeks to 17 August 2016", "device_activations.csv", date(2016, 8, 4), date(2016, 8, 17)),
    Window("zones-1", "eight office zones, 12 weeks to 7 January 2025", "zones_8_office_wifi.csv", date(2024, 10, 16), date(2025, 1, 7)),
    Window("zones-2", "eight office zones, 8 weeks to 4 March 2025", "zones_8_office_wifi.csv", date(2025, 1, 8), date(2025, 3, 4)),
    Window("desks-1", "19 desks, 12 weeks to 18 April 2019", "desks_19_office_plugs.csv", date(2019, 1, 25), date(2019, 4, 18)),
    Window("desks-2", "19 desks, 8 weeks to 13 June 2019", "desks_19_office_plugs.csv", date(2019, 4, 19), date(2019, 6, 13)),
]
REFIT_DAYS = 7
