"""Try what the configuration names, as a settings dialog's test button would: servers, keys in DNS, certificates.

In: a snapshot. Out: lines, each a thing that is in order, could be better, or fails, with how to mend it. `registry`
lists the kinds of probe; `run` runs probes side by side, each within its time. Like the composition root it may know
adapters and stages, and neither knows it. No mail is sent, and nothing is changed.
"""
