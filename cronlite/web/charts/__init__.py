"""What do many runs look like at one glance: behind, ahead, and over the weeks?

Each chart is made of numbers, by functions that know neither a store nor a page. What it shows stands beside it as
text, too: a title, a description, and the numbers as a table.
"""

from cronlite.web.charts.calendar import calendar
from cronlite.web.charts.durations import durations
from cronlite.web.charts.heat import day_heat, week_heat
from cronlite.web.charts.strip import strip
from cronlite.web.charts.svg import Chart

__all__ = ["Chart", "calendar", "day_heat", "durations", "strip", "week_heat"]
