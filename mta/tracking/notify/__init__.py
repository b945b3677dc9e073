"""Notices and digests: mails that tell of records."""
