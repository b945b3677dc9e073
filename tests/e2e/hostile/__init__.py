"""Attacks on the whole relay, by sockets: what may come of each is decided, and a next hop proves it."""
