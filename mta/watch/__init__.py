"""What administrators are told without having to look: a process beside the relay's workers.

`watchers` look at something each and name its troubles; the `board` knows since when there is which, and who has been
told of it; `watch` looks again and again, and sends what is due through the notification channels.
"""
