"""Microsoft Graph: Sent Items in Exchange Online.

`sent_items` says what is asked for, `reading` and `writing` turn JSON into items and items into JSON, `attaching` puts
attachments on an item, `connection` carries requests and answers, `errors` says what a refusal means.
"""

from mta.adapters.mailbox.graph.sent_items import GraphSentItems

__all__ = ["GraphSentItems"]
