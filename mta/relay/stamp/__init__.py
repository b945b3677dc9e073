"""Templates and placement: a group's actions in; edits over the received bytes out.

`templates.load_templates` reads and compiles at load; `stamp.stamp_message` renders, finds the place in each body that
readers see, and turns it into edits.
"""
