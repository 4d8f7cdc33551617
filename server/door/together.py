"""Questions that are answered together: those that wait for a read that has not begun share it.

Across a network, a read costs a way to a thread and back, and some round trips. Who shares it pays a part of that.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from teamroom.server.store.transaction import Reading

Q = TypeVar("Q", bound=Hashable)
A = TypeVar("A")

Answers = dict[Q, A]
Work = Callable[[Reading], Answers[Q, A]]
Run = Callable[[Work[Q, A], Callable[[], object]], Awaitable[Answers[Q, A]]]
Followers = list[asyncio.Future[A]]


class SharedRead(Generic[Q, A]):
    """A read of some questions: for each, the calls that share its answer besides the one that began the read."""

    def __init__(self, first: Q) -> None:
        self.followers: dict[Q, Followers[A]] = {first: []}


class Together(Generic[Q, A]):
    """Answers questions, each as things are after it was asked. One event loop uses it.

    Calls with the same question share its place in a read. So a member that calls often enough to keep every
    connection of the database busy takes one place in their line, and a pause does not wait behind it.
    """

    def __init__(self, run: Run[Q, A], answer: Callable[[Reading, list[Q]], Answers[Q, A]], most: int) -> None:
        """`answer` answers `most` questions at most.

        `run` runs a function as a read of the store, and calls another one right before the read looks at anything.
        """
        self._run, self._answer, self._most = run, answer, most
        self._next: SharedRead[Q, A] | None = None
        """The newest read that has not begun."""
        self._waiting: dict[Q, SharedRead[Q, A]] = {}
        """The read of each question that has not begun."""

    async def ask(self, question: Q) -> A:
        """The answer to a question. Raises StorageError, and what `answer` raises."""
        while (read := self._to_join(question)) is not None:
            found: asyncio.Future[A] = asyncio.get_running_loop().create_future()
            read.followers.setdefault(question, []).append(found)
            with contextlib.suppress(_LeftError):
                return await found
        return await self._read(question)

    def _to_join(self, question: Q) -> SharedRead[Q, A] | None:
        """The read that answers a question and has not begun, if there is one with a place."""
        if (read := self._waiting.get(question)) is not None:
            return read
        if (read := self._next) is None or len(read.followers) >= self._most:
            return None
        self._waiting[question] = read
        return read

    async def _read(self, question: Q) -> A:
        read = self._next = self._waiting[question] = SharedRead[Q, A](question)

        questions: list[Q] = []

        def begins() -> None:
            questions[:] = self._begin(read)  # who comes from now on may have to see what is written meanwhile

        try:
            answers = await self._run(lambda tx: self._answer(tx, questions), begins)
        except BaseException as error:
            self._begin(read)
            for followers in read.followers.values():
                for one in _that_wait(followers):
                    one.set_exception(error if isinstance(error, Exception) else _LeftError())
            raise
        self._begin(read)  # a question that joined on this thread as it began has no answer: it is asked again
        for asked, followers in read.followers.items():
            for one in _that_wait(followers):
                if asked in answers:
                    one.set_result(answers[asked])
                else:
                    one.set_exception(_LeftError())
        return answers[question]

    def _begin(self, read: SharedRead[Q, A]) -> list[Q]:
        """From now on nobody joins this read; returns what it answers. It can begin on another thread."""
        if self._next is read:
            self._next = None
        questions = list(read.followers)
        for question in questions:
            if self._waiting.get(question) is read:
                self._waiting.pop(question, None)
        return questions


def _that_wait(followers: Followers[A]) -> Followers[A]:
    """Those whose callers have not left."""
    return [one for one in followers if not one.done()]


class _LeftError(Exception):
    """The call that read has ended before it found anything; one of those that shared its read reads now."""
