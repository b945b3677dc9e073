"""DNS by dnspython's asynchronous resolver, with a cache of our own.

In: names from messages and envelopes. Out: answers by `ports/resolver`. Servers are asked in the order given, over UDP
and, where an answer is too long for that, over TCP.
"""
