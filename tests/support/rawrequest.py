"""Requests as they are on the wire: what a command line of any release may send, and what is answered."""

from typing import Any

from openclaw_tunnel.control.messages import Request, Stream


def raw(method: str, **params: Any) -> Request[dict[str, Any]]:
    """A request of that name with these parameters, whose answer is left as it is."""

    class Raw(Request[dict[str, Any]]):
        METHOD = method

        def to_json(self) -> dict[str, Any]:
            return params

        @staticmethod
        def answer(result: dict[str, Any]) -> dict[str, Any]:
            return result

    return Raw()


def raw_stream(method: str, **params: Any) -> Stream[dict[str, Any]]:
    """The same for a request that is answered by events."""

    class RawStream(Stream[dict[str, Any]]):
        METHOD = method

        def to_json(self) -> dict[str, Any]:
            return params

        @staticmethod
        def event(data: dict[str, Any]) -> dict[str, Any]:
            return data

    return RawStream()
