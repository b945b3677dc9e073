"""What is looked for in texts: wildcards, phrases, regexes and dictionaries, in time linear in the text."""
