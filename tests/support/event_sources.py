"""Dead letters of an event source."""

from collections.abc import Mapping
from typing import Any


class LeftLetters(list[tuple[str, dict[str, Any]]]):
    def leave(self, queue: str, letter: Mapping[str, Any]) -> None:
        self.append((queue, dict(letter)))

    @property
    def ranges(self) -> list[tuple[int, int]]:
        infos = [letter["DDBStreamBatchInfo"] for _, letter in self]
        return [(int(info["startSequenceNumber"]), int(info["endSequenceNumber"])) for info in infos]
