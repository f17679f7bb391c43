"""Would the tests notice? One line of the core is broken at a time, in a throw-away copy; the short suite must be red.

`python -m tests.sabotage` breaks them all and prints a table; words on the command line choose those with them in it.
"""
