"""Ways out: SMTP with kept connections (`smtp_transport`), and Maildirs (`maildir`).

An SMTP delivery goes `smtp_transport` (recipients into transactions) → `smtp_pool` (a connection, by `circuit`'s leave)
→ `smtp_connection` (sockets, TLS, time-outs) → `smtp_protocol` (the session, without I/O), which speaks
`smtp_commands`, reads `smtp_replies`, and sends contents through `dot_stuffing`.
"""
