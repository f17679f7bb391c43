"""What can an application ask for?

`app` is `Cronlite`, the way in. It checks what it is given (`arguments`) and hands it on: `opened` finds and opens the
store, `schedules` and `runs` do what is asked about those, as far as `quota` has room, `embedded` has the daemon.
`receipt` is what `enqueue` returns; `status`, `doctor` and `why` look at a store; `known_handlers` doubts a misspelt
name; `configuration` reads a file; `default` holds the functions of the package itself, which all work on one Cronlite:
inside of a run, on that of its daemon.
"""
