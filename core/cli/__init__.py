"""The command line: ``bertloom …``."""
