"""Composition roots, one for each process: the only modules that build adapters and join them to the rest.

`relay` composes a worker, `watch` the process that watches, `spool` the queue for both and for the command line.
"""
