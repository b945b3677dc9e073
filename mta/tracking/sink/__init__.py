"""Tasks: calls to webhooks and plug-ins, mails by outgoing accounts; tried again, dead letters, replay."""
