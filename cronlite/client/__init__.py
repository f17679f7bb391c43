"""What can an application ask for?

`app` is `Cronlite`, the way in: `opened` finds and opens the store, `schedules` and `runs` hold the requests about
those, `receipt` is what `enqueue` returns, `status`, `doctor` and `why` look at a store, and `default` holds the
functions of the package itself, which all work on one Cronlite.
"""
