"""Templates and placement: a group's actions in; edits over the received bytes out."""
