"""The project's beat schedule as it was, in Celery's words; nobody imports Celery for it any more.

```python
app.conf.timezone = "Europe/Berlin"
app.conf.beat_schedule = {
    "daily-digest": {
        "task": "shop.send_digest", "schedule": crontab(hour=7, minute=30), "args": ("daily",),
    },
    "weekly-digest": {
        "task": "shop.send_digest", "schedule": crontab(hour=8, minute=0, day_of_week="monday"), "args": ("weekly",),
    },
    "expire-sessions": {
        "task": "shop.expire_sessions", "schedule": timedelta(minutes=10), "options": {"expires": 300},
    },
    "refresh-rates": {
        "task": "shop.refresh_rates", "schedule": crontab(minute="*/15", hour="8-18", day_of_week="mon-fri"),
        "options": {"expires": 600},
    },
    "poll-payments": {
        "task": "shop.poll_payments", "schedule": 60.0, "options": {"expires": 55},
    },
    "charge-subscriptions": {
        "task": "shop.charge_subscriptions", "schedule": crontab(minute=0, hour=6, day_of_month="1"),
    },
    "rebuild-search": {
        "task": "shop.rebuild_search", "schedule": crontab(minute=0, hour=3), "options": {"queue": "slow"},
    },
    "clean-uploads": {
        "task": "shop.clean_uploads", "schedule": crontab(minute=15, hour="*/6"), "kwargs": {"older_than_days": 30},
    },
    "sync-crm": {
        "task": "shop.sync_crm", "schedule": 3600.0, "kwargs": {"source": "crm"}, "options": {"expires": 1800},
    },
    "month-end-report": {
        "task": "shop.report", "schedule": crontab(minute=30, hour=23, day_of_month="28-31"),
        "kwargs": {"of": "month"},
    },
}
```

With `autoretry_for=(ConnectionError,), max_retries=5` on `sync_crm`, and `time_limit=1800` on `rebuild_search`. The
report asked itself whether tomorrow is the first.
"""
