"""How do messages get through an AMQP broker: sent until confirmed, received as there is room, and set aside?

Imported only where a broker is used: it needs kombu, the extra `amqp`. An application may use `Publisher` and
`Consumer` for messages of its own, on queues of its own.
"""

from cronlite.dispatch.amqp.consumer import Consumer, Message
from cronlite.dispatch.amqp.link import address
from cronlite.dispatch.amqp.publisher import Publisher, Raw

__all__ = ["Consumer", "Message", "Publisher", "Raw", "address"]
