"""What can somebody do to others who may write schedules, parameters, messages or a crontab? Each file is an attack."""
