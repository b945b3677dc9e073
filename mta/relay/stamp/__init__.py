"""Templates, placement and changes of content: a group's actions in; edits over the received bytes out.

At load, `templates/` reads and compiles. For a message, `stamp` has `bodies` find the texts that readers see, and
carries out all actions: `content/` changes texts, parts and header fields; `stamping` renders each stamp (`render`),
looks whether it stands there already (`earlier/`), and finds its place (`message/place`); `body_edits` makes edits of
both. `readers` answers what rules ask about stamps and quotes; `mail` renders whole mails.
"""
