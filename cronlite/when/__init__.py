"""When is something due?

Pure: nothing here reads a clock or a store. A text becomes the set of values of one `fields`; five of them make a `pattern`, which
decides about a wall minute; `clock` turns instants into wall minutes of zones and back; `timetable` walks a pattern
along the instants of a zone, over changes of its clock.
"""
