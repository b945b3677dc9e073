"""Mailbox servers: Maildir (embedded default), IMAP, Exchange Web Services, Microsoft Graph."""
