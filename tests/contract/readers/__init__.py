"""The adapters of the port `mta.ports.mailbox_reader`, each with a server of its own kind, for `test_mailbox_readers`.

`harness` says what each kind has to offer, `kinds` lists them.
"""
