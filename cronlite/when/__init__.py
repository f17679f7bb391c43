"""When is something due?

Pure: nothing here reads a clock or a store. The text of one of the `fields` becomes a set of values; five of them make
a `pattern`, which decides about a wall minute; `clock` turns instants into the wall minutes of zones; `timetable`
walks a pattern along the instants of a zone, over the changes of its clock.
"""
