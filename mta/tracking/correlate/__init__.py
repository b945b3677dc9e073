"""To which conversation a message belongs."""
