"""What the author of an extension in Python imports (docs/extensions.md).

from spanbridge.extensions import HttpError, SqliteError
"""

from .errors import HttpError, SqliteError

__all__ = ["HttpError", "SqliteError"]
