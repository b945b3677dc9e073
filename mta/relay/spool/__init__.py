"""The retry schedule. The durable queue itself is the port `mta.ports.spool`."""
