"""What the contract of outgoing accounts needs of each kind: a server, an account on it, what arrived, faults."""
