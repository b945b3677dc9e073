"""Tracked conversations in the relay: ids on what goes out and comes in, and copies for the processing mailbox."""
