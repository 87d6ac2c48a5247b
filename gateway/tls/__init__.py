"""Encryption: certificates of our own or from files, changed without a restart."""
