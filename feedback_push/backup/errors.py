"""The error that ends a backup or a restoration with a text for the operator."""


class BackupError(Exception):
    """The backup or restoration was not carried out; the text says why and what to do, and holds no secret."""
