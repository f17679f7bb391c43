"""What can an application ask for?

`app` is `Cronlite`, the way in: `opened` finds and opens the store, `schedules` and `runs` are the requests about those,
`receipt` is what an enqueued run leaves in the caller's hand, `inspection` answers status, doctor and why, and
`default` are the functions of the package itself, on one Cronlite for all.
"""
