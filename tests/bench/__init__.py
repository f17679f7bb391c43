"""How fast is cronlite, beside its peers and beside what MongoDB itself costs? `python -m tests.bench` measures it."""
