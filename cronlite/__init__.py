"""Cron for applications: schedules as documents, any number of daemons, each minute's runs exactly once."""
