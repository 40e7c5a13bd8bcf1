"""The command line of Atrium: each command is a request, and commands.py has the table of them."""
