"""Who hears of an alarm, by which channel, in which words, and how is something called on the web without harm?

`channels` reads the [[alarms]] of a configuration and says what each is to tell, `messages` puts many alarms into one
text, `sending` hands that to Apprise, and `calls` calls URLs that a tenant may have written, for `pings`.
"""
