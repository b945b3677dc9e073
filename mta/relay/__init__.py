"""The way of a message, stage by stage: receive, decide, spool, stamp, split, sign, deliver. `pipeline` joins them."""
