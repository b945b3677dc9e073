"""A message's life, told from the log files: what came in, what was decided, every attempt, what became of whom.

In comes what to look for (queue ids, a Message-ID, an address) and a folder of log files; out come `Life`s. `log_files`
finds the lines fast, `log_lines` reads them, `search` follows the links between messages, `life` puts it together. The
queue itself is the caller's to ask: a life takes what is still queued as an addition.
"""
