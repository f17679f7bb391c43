"""What does a daemon do?

`loops` is the daemon: it keeps one loop for each of the topics here, in `threads`, and `rounds` knows how each of them
fares. `liveness` shows that it lives and finds the dead; `minutes` wakes `ticking`, which does the minutes, with `due`
for the schedules that match one, `set_aside` for what cannot be read and `early` for what is written before its wake;
`claims` takes runs from the queue, as many as there is `room` for, in `turns` between users, and gives them to the
pool; `outcomes` writes down how they ended, and `lanes` lets the next one in; `handover` puts back what a daemon leaves
behind. Where there is a broker, `to_broker` sends it the ids of queued runs and `from_broker` is a worker's end.
`options` are what an operator may set, `service` and `logs` are the process around it all; `processes` keeps several
such processes as one service, `parent` and `whole_lines` are their side of it.
"""
