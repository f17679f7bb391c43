"""What is stored, and what is refused?

Pure: documents in, checked values out, without a store. `schedules`, `runs` and `ticks` are the three kinds that make
up the history: `timing` reads when a schedule is due, `new_runs` makes runs of schedules, and `transitions` leads a run
from state to state. `daemons` says who is there; `checks` are what each field has to pass, and `ids` makes and reads
ids.
"""
