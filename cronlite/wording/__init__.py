"""How is what is stored said in words, the same on a terminal and on a page?

`text` writes out what neither should obey, `instants` says when, `values` is JSON for every reader, `labels` are the
few words in which a list speaks of a schedule or a run, and `numbers` counts them; `spoken` reads what people type for
an instant.
"""
