"""What the relay stands: many open connections, many messages, a long queue, large messages."""
