"""What an extension raises, and what is raised into it."""


class HttpError(Exception):
    """Raised by a handler: the answer is `status`, with `code` and `message` as JSON."""

    def __init__(self, status: int, message: str = "", code: str = "error") -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code


class OverLimit(ValueError):
    """`what` is not to be had: the limit of this name does not allow it."""

    def __init__(self, what: str, name: str, most: int) -> None:
        super().__init__(f"{what}, expected at most {most} ({name})")
        self.name = name
        self.most = most


class SqliteError(Exception):
    """An error of SQL. `code` is SQLite's, like SQLITE_CONSTRAINT_UNIQUE."""

    def __init__(self, message: str, code: str = "SQLITE_ERROR") -> None:
        super().__init__(message)
        self.code = code
