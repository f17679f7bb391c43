"""A web project that moved in from Celery beat: what it had in `before.py`, what it has in `shop.py`."""
