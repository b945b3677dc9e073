"""The adapters of the port `mta.ports.mailbox`, each with a server of its own kind, for `test_mailboxes`.

`harness` says what each kind has to offer, `kinds` lists them, `samples` are items.
"""
