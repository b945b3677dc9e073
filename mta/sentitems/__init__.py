"""Sent Items: a job that the relay has committed goes in, and the sender finds in Sent Items what was really sent.

One job's way: `runner` takes it when it is due, `residence` finds the mailbox and its server, `work` looks for the
sender's item, guards it, builds the new one, puts it in place, verifies it and removes the original; what servers
refuse becomes a decision in `decisions`. The store keeps all that has to outlive the process.
"""
