"""A terminal that is a text in memory."""

import io


class Terminal(io.StringIO):
    """A stream that says it is a terminal of UTF-8."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True

    def said(self) -> str:
        """What was written since the last call."""
        text = self.getvalue()
        self.seek(0)
        self.truncate()
        return text
