"""Hand each copy to its next hop; in: copies with their recipients, out: a Settlement with the DSNs that follow.

`routing` names a recipient's next hop, `next_hops` keeps one transport for each, `attempt` makes one attempt,
`settle` turns its results into what the spool commits, `reports` says who is told, `dsn` writes it: `explanations` for
people, `returned` what comes back of the original.
"""
