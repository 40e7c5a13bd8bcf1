"""The check of the table: check.py runs it, rules.py lists the rule of each kind of row."""
