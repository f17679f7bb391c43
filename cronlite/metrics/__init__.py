"""How does a daemon fare, in figures that Prometheus can scrape?

A daemon tells `figures` what it does, which costs nothing while nobody listens. `counts` adds that up, `asked` brings
what only the store knows, `exposition` writes both in Prometheus's words, and `endpoint` serves them at an `address`.
prometheus-client (the extra `metrics`) is imported by the last two only.
"""
