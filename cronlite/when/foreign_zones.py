"""Which time zone did somebody mean who gave an abbreviation, an offset, a city, or a rule of POSIX?

An abbreviation stands for one offset, in summer or in winter, and often for several regions; an offset stands for no
region. So both are explained, and zones of that region or offset are offered. A name that is merely like the given one
is offered only if its region is the same.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import datetime, timedelta
from difflib import SequenceMatcher
from typing import Final
from zoneinfo import ZoneInfo

EXAMPLE: Final = "give an IANA name such as 'Europe/Berlin'"

_ABBREVIATIONS = {
    "z": "UTC",
    "zulu time": "UTC",
    "utc time": "UTC",
    "bst": "Europe/London Asia/Dhaka",
    "ist": "Asia/Kolkata Europe/Dublin Asia/Jerusalem",
    "west": "Europe/Lisbon",
    "cest": "Europe/Berlin Europe/Paris",
    "mez": "Europe/Berlin",
    "mesz": "Europe/Berlin",
    "eest": "Europe/Athens Europe/Helsinki",
    "msk": "Europe/Moscow",
    "trt": "Europe/Istanbul",
    "edt": "America/New_York",
    "et": "America/New_York",
    "cdt": "America/Chicago America/Havana",
    "cst": "America/Chicago Asia/Shanghai America/Havana",
    "ct": "America/Chicago",
    "mdt": "America/Denver",
    "mt": "America/Denver America/Phoenix",
    "pst": "America/Los_Angeles Asia/Manila",
    "pdt": "America/Los_Angeles",
    "pt": "America/Los_Angeles",
    "akst": "America/Anchorage",
    "akdt": "America/Anchorage",
    "ast": "America/Halifax Asia/Riyadh",
    "adt": "America/Halifax",
    "nst": "America/St_Johns",
    "ndt": "America/St_Johns",
    "brt": "America/Sao_Paulo",
    "art": "America/Argentina/Buenos_Aires",
    "clt": "America/Santiago",
    "wat": "Africa/Lagos",
    "cat": "Africa/Harare",
    "eat": "Africa/Nairobi",
    "sast": "Africa/Johannesburg",
    "gst": "Asia/Dubai",
    "pkt": "Asia/Karachi",
    "ict": "Asia/Bangkok",
    "wib": "Asia/Jakarta",
    "sgt": "Asia/Singapore",
    "hkt": "Asia/Hong_Kong",
    "pht": "Asia/Manila",
    "jst": "Asia/Tokyo",
    "kst": "Asia/Seoul",
    "awst": "Australia/Perth",
    "acst": "Australia/Darwin Australia/Adelaide",
    "acdt": "Australia/Adelaide",
    "aest": "Australia/Brisbane Australia/Sydney",
    "aedt": "Australia/Sydney",
    "nzst": "Pacific/Auckland",
    "nzdt": "Pacific/Auckland",
    # as Windows and Rails have them
    "eastern standard time": "America/New_York",
    "central standard time": "America/Chicago",
    "mountain standard time": "America/Denver",
    "pacific standard time": "America/Los_Angeles",
    "gmt standard time": "Europe/London",
    "w. europe standard time": "Europe/Berlin",
    "central europe standard time": "Europe/Budapest",
    "romance standard time": "Europe/Paris",
    "e. europe standard time": "Europe/Chisinau",
    "russian standard time": "Europe/Moscow",
    "india standard time": "Asia/Kolkata",
    "china standard time": "Asia/Shanghai",
    "tokyo standard time": "Asia/Tokyo",
}
# Cities that are missing in the database, because their zone has the name of another city.
_CITIES = {
    "beijing": "Asia/Shanghai",
    **dict.fromkeys(("mumbai", "delhi", "new_delhi", "bangalore", "bengaluru", "chennai"), "Asia/Kolkata"),
    **dict.fromkeys(("munich", "hamburg", "frankfurt", "cologne"), "Europe/Berlin"),
    **dict.fromkeys(("bern", "basel", "geneva"), "Europe/Zurich"),
    **dict.fromkeys(("milan", "naples"), "Europe/Rome"),
    **dict.fromkeys(("barcelona", "seville"), "Europe/Madrid"),
    **dict.fromkeys(("lyon", "marseille"), "Europe/Paris"),
    **dict.fromkeys(("boston", "washington", "miami", "atlanta", "philadelphia"), "America/New_York"),
    **dict.fromkeys(("houston", "dallas", "austin"), "America/Chicago"),
    **dict.fromkeys(("san_francisco", "seattle", "las_vegas", "san_diego"), "America/Los_Angeles"),
    **dict.fromkeys(("rio_de_janeiro", "brasilia"), "America/Sao_Paulo"),
    **dict.fromkeys(("osaka", "kyoto"), "Asia/Tokyo"),
    "abu_dhabi": "Asia/Dubai",
}
# One or two well-known zones for each offset and each rule of summer time.
_WELL_KNOWN = (
    "Pacific/Honolulu America/Anchorage America/Los_Angeles America/Phoenix America/Denver America/Chicago"
    " America/Mexico_City America/New_York America/Bogota America/Halifax America/Caracas America/St_Johns"
    " America/Sao_Paulo America/Argentina/Buenos_Aires Atlantic/South_Georgia Atlantic/Azores Atlantic/Cape_Verde"
    " Europe/London Africa/Abidjan Europe/Berlin Africa/Lagos Europe/Athens Africa/Johannesburg Europe/Istanbul"
    " Africa/Nairobi Asia/Tehran Asia/Dubai Asia/Kabul Asia/Karachi Asia/Tashkent Asia/Kolkata Asia/Kathmandu"
    " Asia/Dhaka Asia/Yangon Asia/Bangkok Asia/Jakarta Asia/Shanghai Asia/Singapore Asia/Tokyo Asia/Seoul"
    " Australia/Adelaide Australia/Darwin Australia/Brisbane Australia/Sydney Pacific/Guadalcanal Pacific/Auckland"
    " Pacific/Fiji Pacific/Chatham Pacific/Tongatapu Pacific/Kiritimati"
)
# Summer in the south and summer in the north, of a year whose rules will not change any more.
_JANUARY, _JULY = datetime(2025, 1, 15), datetime(2025, 7, 15)
_OFFSET = re.compile(r"(?:(?:etc/)?(?:utc|gmt|z) ?([+-]?)|([+-]))(\d{1,2})(?::?(\d\d))?")
_POSIX = re.compile(r"([a-z]{3,5})[+-]?\d{1,2}(?::\d\d)*(?:[a-z]{3,5}.*)?")
_LARGEST_OFFSET = timedelta(hours=14)
_LIKE = 0.75


def meant(name: str, known: Collection[str]) -> str:
    """Say what a text that names no zone means, and which zones to give; `known` are the names of all zones."""
    wanted = " ".join(name.split()).casefold()
    if offset := _OFFSET.fullmatch(wanted):
        return _of_offset(offset)
    if zones := _ABBREVIATIONS.get(wanted):
        return _abbreviated(name.strip(), zones.split())
    if (posix := _POSIX.fullmatch(wanted)) and wanted.upper() not in known:
        return f"a rule as POSIX has it is not read here; {_of_rule(posix[1])}"
    if wanted in ("local", "localtime", "system", "server"):
        return "name the zone itself, as 'timedatectl' does"
    same = _same(wanted.replace(" ", "_"), known)
    return f"did you mean {same!r}?" if same else EXAMPLE


def _of_offset(matched: re.Match[str]) -> str:
    behind = (matched[1] or matched[2]) == "-"
    ahead = timedelta(hours=int(matched[3]), minutes=int(matched[4] or 0)) * (-1 if behind else 1)
    if not ahead:
        return "say 'UTC'"
    problem = "an offset is no zone: it knows no summer time"
    if abs(ahead) > _LARGEST_OFFSET:
        return f"{problem}; {EXAMPLE}"
    always, seasonal = [], []
    for name in _WELL_KNOWN.split():
        winter, summer = sorted(_offsets(name))
        if ahead == winter == summer:
            always.append(repr(name))
        elif ahead in (winter, summer):
            seasonal.append(f"{name!r} in {'winter' if ahead == winter else 'summer'}")
    offered = [f"{', '.join(always)} all year"] * bool(always) + seasonal
    if not matched[4] or matched[4] == "00":
        offered.append(
            f"'Etc/GMT{'+' if behind else '-'}{int(matched[3])}' for exactly this (its sign is the other way round)"
        )
    return f"{problem}; {_offset_text(ahead)} is {'; '.join(offered)}" if offered else f"{problem}; {EXAMPLE}"


def _offsets(name: str) -> tuple[timedelta, timedelta]:
    try:
        zone = ZoneInfo(name)
    except (LookupError, OSError, ValueError):  # some systems' databases leave zones out
        return timedelta.max, timedelta.max
    return zone.utcoffset(_JANUARY) or timedelta(0), zone.utcoffset(_JULY) or timedelta(0)


def _offset_text(ahead: timedelta) -> str:
    minutes = ahead // timedelta(minutes=1)
    return f"UTC{'-' if minutes < 0 else '+'}{abs(minutes) // 60}" + (f":{abs(minutes) % 60:02}" * bool(minutes % 60))


def _abbreviated(name: str, zones: list[str]) -> str:
    if zones == ["UTC"]:
        return "say 'UTC'"
    if len(zones) == 1:
        return f"its IANA name is {zones[0]!r}"
    return f"{name} is the clock of several regions; say which: {', '.join(map(repr, zones))}"


def _of_rule(abbreviation: str) -> str:
    regions = {"cet": "Europe/Berlin", "eet": "Europe/Athens", "wet": "Europe/Lisbon", "est": "America/New_York"}
    zones = [regions[abbreviation]] if abbreviation in regions else _ABBREVIATIONS.get(abbreviation, "").split()
    return f"name the zone, such as {zones[0]!r}" if zones else EXAMPLE


def _same(wanted: str, known: Collection[str]) -> str:
    """Return the known name that differs in case, in its region, or by a typing error in its city."""
    region, _, city = wanted.rpartition("/")
    of_city = [name for name in known if name.rpartition("/")[2].casefold() == city]
    whole = [name for name in of_city if name.casefold() == wanted]
    if whole or of_city:
        return min(whole or of_city)
    if city in _CITIES:
        return _CITIES[city]
    if len(city) < 5:  # three or four letters are too few to judge likeness by
        return ""
    near = (name for name in known if (name.casefold().startswith(f"{region}/") if region else "Etc/" not in name))
    likeness = {name: _likeness(name.rpartition("/")[2].casefold(), city) for name in near}
    best = max(likeness, key=lambda name: (likeness[name], name), default="")
    return best if best and likeness[best] >= _LIKE else ""


def _likeness(name: str, city: str) -> float:
    matcher = SequenceMatcher(None, name, city)
    return matcher.ratio() if matcher.real_quick_ratio() >= _LIKE and matcher.quick_ratio() >= _LIKE else 0
