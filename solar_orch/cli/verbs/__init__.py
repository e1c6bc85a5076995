"""The commands by subject: each file has a tuple ``COMMANDS``, and imports what is needed when it is."""
