"""Trouble and who is told of it: watchers, the book of alerts, the post."""
