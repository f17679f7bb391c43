"""Where does a claimed run execute?

`pool` gives each run a seat and tells its end once. `calls` holds what is known of one call, `handling` calls its
handler: in a thread of the pool, on an asyncio `loop`, or in a child process (`children` picks one, `process` is the
daemon's end of the line, `child` the other, and `keeper` ends what a dead daemon leaves behind). `limits` cuts off what
takes too long, woken by the `alarm`, and `stacks` tells where it hung; `shortage` keeps what could not begin;
`outcomes` turns any end into an outcome. `amqp` speaks to a broker, for the daemon and for applications.
"""
