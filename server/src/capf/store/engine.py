# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The database engine: one writer thread with group commit, and readers apart.

A job is a function of one Connection. Jobs that wait at the same time share one transaction; their futures are resolved
after its COMMIT. If one of them raises, the transaction is rolled back and each job runs again in a separate
transaction, so a job must be repeatable.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from operator import methodcaller
from pathlib import Path
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as NoConnectionError

from capf.model import HIDDEN, InvalidRequestError, Problem, StoreUnavailableError
from capf.store import audit, driver_errors

T = TypeVar("T")
Job = Callable[[Connection], T]
Then = Callable[[Exception | None], object]
"""Called by the writer after a job, before it takes the next ones, with the job's error if it failed."""
_GROUP = 200
_GATHER_SECONDS = 0.006
"""Seconds during which more jobs may join a commit if several jobs share it; a single job never waits."""
_READERS = 4
_STREAMS = 5
"""Maximum number of open streams. Together with readers and writer they use fewer than all connections, so that a slow
client never keeps others waiting for a connection."""
_CONNECTIONS = {"pool_size": 1 + _READERS, "max_overflow": _STREAMS + 2, "pool_use_lifo": True}
"""One for the writer and one for each reader; those of streams and other jobs are temporary. The connection that was
used last is used next, so that the writer's cache stays useful."""
_BUSY_MILLISECONDS = 5000
_POSTGRESQL = {
    "connect_timeout": 5,
    "tcp_user_timeout": 10000,
    "options": f"-c lock_timeout={_BUSY_MILLISECONDS}",
}
"""A phone waits for an unreachable or locked database no longer than for a busy one."""
_WRITES = {"capf_writes": True}
_DEADLOCK = "40P01"
_DECODED = methodcaller("decode", "utf-8", "replace")
"""Reads every text of SQLite: one that is not UTF-8 is a wrong value, of which its reader decides, not an outage."""


class _DryRunError(Exception):
    """Carries a dry run's result past the rollback."""


@dataclass(slots=True)
class _Work:
    """A job and its waiter: a thread, or a task of ``loop``."""

    run: Job[Any]
    then: Then | None
    future: Future[Any] | asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop | None = None
    result: Any = None
    error: Exception | None = None

    def settle(self) -> None:
        """Resolve the future unless its waiter has gone."""
        if self.future.done():
            return
        if self.error is None:
            self.future.set_result(self.result)
        else:
            self.future.set_exception(self.error)


class Stream(Generic[T]):
    """The items of a reading job, for one consumer outside the event loop; its connection is open until ``close``."""

    def __init__(self, pieces: Generator[T], places: threading.Semaphore) -> None:
        self._pieces = pieces
        self._places = places
        self._open = True

    def __iter__(self) -> Iterator[T]:
        return self._pieces

    def close(self) -> None:
        """Release the connection, and the place for another stream."""
        if self._open:
            self._open = False
            try:
                self._pieces.close()
            finally:
                self._places.release()


class Store:
    """The open database."""

    def __init__(self, url: str, *, migrate: bool = True) -> None:
        """Open or create the database at an SQLAlchemy URL and migrate its schema.

        Without ``migrate``, raise StoreUnavailableError if the schema is not this server's.
        """
        self._engine = _engine(url)
        self._migrate(migrate)
        self._work: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._readers = ThreadPoolExecutor(_READERS, "capf-reader")
        self._places = threading.Semaphore(_STREAMS)
        self._connection: Connection | None = None
        """The writer's, while it is open."""
        self._writer = threading.Thread(target=self._write_forever, name="capf-writer", daemon=True)
        self._writer.start()

    def _migrate(self, allowed: bool) -> None:
        try:
            with self._engine.connect() as connection:
                schema = schema_of(connection)
                if schema != newest_schema() and not allowed:
                    raise StoreUnavailableError(f"the database has the schema {schema}, which the next start changes")
                if schema != newest_schema():
                    from capf.store.migrate import upgrade  # noqa: PLC0415 - most starts find the schema up to date

                    upgrade(connection)
        except DBAPIError as error:
            raise StoreUnavailableError(f"the database cannot be opened: {driver_errors.words(error)}") from error

    def close(self) -> None:
        """Finish the waiting jobs and close the database."""
        self._closing.set()
        self._work.put(None)
        self._writer.join()
        self._readers.shutdown()
        self._engine.dispose()

    @property
    def can_be_shared(self) -> bool:
        """Whether other servers may use the same database; an SQLite database belongs to one server."""
        return self._engine.dialect.name != "sqlite"

    def submit(self, job: Job[T]) -> Future[T]:
        """Hand a job to the writer; the future has its result after the commit."""
        future: Future[T] = Future()
        future.set_running_or_notify_cancel()
        self._work.put(_Work(job, None, future))
        return future

    def write(self, job: Job[T]) -> T:
        """Run a job that changes data; return after the commit. StoreUnavailableError if the database fails."""
        return self.submit(job).result()

    def start(self, job: Job[T], then: Then | None = None) -> asyncio.Future[T]:
        """Do what ``submit`` does, for the running event loop.

        The job is carried out even if nobody waits for it any longer.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._work.put(_Work(job, then, future, loop))
        return future

    async def awrite(self, job: Job[T]) -> T:
        """Do what ``write`` does, without blocking the event loop."""
        return await self.start(job)

    async def adry_run(self, job: Job[T]) -> T:
        """Run a job as ``awrite`` does, roll it back, and return its result."""

        def run_and_undo(connection: Connection) -> T:
            raise _DryRunError(job(connection))

        try:
            return await self.awrite(run_and_undo)
        except _DryRunError as undone:
            result: T = undone.args[0]
            return result

    def read(self, job: Job[T]) -> T:
        """Run a job that only reads."""
        try:
            with self._engine.connect() as connection:
                return job(connection)
        except DataError as error:
            raise _refusal(error) from error
        except (DBAPIError, NoConnectionError) as error:
            raise StoreUnavailableError(f"the database cannot be read: {driver_errors.words(error)}") from error

    def snapshot(self, job: Job[T]) -> T:
        """Run a job that reads a consistent snapshot of many tables."""

        def at_one_moment(connection: Connection) -> T:
            if connection.dialect.name == "postgresql":
                connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            return job(connection)

        return self.read(at_one_moment)

    async def aread(self, job: Job[T]) -> T:
        """Do what ``read`` does, without blocking the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, self.read, job)

    def stream(self, job: Job[Iterator[T]]) -> Stream[T]:
        """Return the stream of a reading job, which the caller closes; StoreUnavailableError if too many are open."""
        if not self._places.acquire(blocking=False):
            raise StoreUnavailableError(f"{_STREAMS} reports are being fetched; try again when one of them has ended")
        return Stream(self._pieces(job), self._places)

    def _pieces(self, job: Job[Iterator[T]]) -> Generator[T]:
        with self._engine.connect() as connection:
            yield from job(connection)

    def _write_forever(self) -> None:
        try:
            self._write_groups()
        finally:
            self._release()

    def _write_groups(self) -> None:
        several = False
        while True:
            group = [self._work.get()]
            if several:
                self._closing.wait(_GATHER_SECONDS)
            while len(group) < _GROUP and not self._work.empty():
                group.append(self._work.get())
            jobs = [work for work in group if work is not None]
            several = len(jobs) > 1
            if jobs:
                self._write(jobs)
                _settle(jobs)
            if len(jobs) < len(group):
                return

    def _write(self, group: list[_Work]) -> None:
        """Run a group in one transaction; if a job raises, run each job in a separate transaction."""
        try:
            with self._writing() as connection, connection.begin():
                audit.begin(connection)
                for work in group:
                    work.result = work.run(connection)
                audit.end(connection)
        except Exception as error:
            trouble = self._trouble(error)
            if (trouble is None or _is_deadlock(error)) and len(group) > 1:
                for work in group:
                    self._write([work])
                return
            for work in group:
                work.error = trouble or self._fault(error)

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        """Yield a connection for the writer: always the same one to SQLite, until there is an error.

        Others come from the pool, which replaces those that were lost.
        """
        if self._connection is None:
            self._connection = self._engine.connect().execution_options(**_WRITES)
        kept = False
        try:
            yield self._connection
            kept = not self.can_be_shared
        finally:
            if not kept:
                self._release()

    def _release(self) -> None:
        """Return the writer's connection to the pool."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            connection.close()

    def _trouble(self, error: Exception) -> StoreUnavailableError | None:
        """Return the error to report if the database failed, None if a job did."""
        driver = self._engine.dialect.loaded_dbapi
        jobs = DataError | IntegrityError | driver.DataError | driver.IntegrityError
        if not isinstance(error, DBAPIError | NoConnectionError | driver.Error) or isinstance(error, jobs):
            return None
        unavailable = StoreUnavailableError(f"the database cannot be written: {driver_errors.words(error)}")
        unavailable.__cause__ = error
        return unavailable

    def _fault(self, error: Exception) -> Exception:
        """Return the error to report for a job that failed."""
        if not isinstance(error, DataError | self._engine.dialect.loaded_dbapi.DataError):
            return error
        refusal = _refusal(error)
        refusal.__cause__ = error
        return refusal


def _is_deadlock(error: Exception) -> bool:
    """Return whether the jobs of two servers waited for each other; jobs run singly lock rows in the same order."""
    return getattr(getattr(error, "orig", error), "sqlstate", None) == _DEADLOCK


def _refusal(error: Exception) -> InvalidRequestError:
    """Return the error to report for values that do not fit the database's columns."""
    code = driver_errors.code(error)
    # psycopg itself refuses a text with a NUL character, so the database reports no code.
    why = f"it reports {code}" if code else "NUL characters are not allowed"
    message = f"the database does not accept one of the values ({why}); correct or shorten it"
    return InvalidRequestError([Problem("body", HIDDEN, message)])


def _settle(group: list[_Work]) -> None:
    """Resolve the futures of all jobs: those of threads here, those of tasks together in their event loop."""
    for work in group:
        if work.then is not None:
            work.then(work.error)
    loops = {work.loop for work in group}
    for loop in loops:
        mine = [work for work in group if work.loop is loop]
        if loop is None:
            _settle_each(mine)
        elif not loop.is_closed():
            loop.call_soon_threadsafe(_settle_each, mine)


def _settle_each(group: list[_Work]) -> None:
    for work in group:
        work.settle()


def schema_of(connection: Connection) -> str | None:
    """Return the number of the database's schema, None for an empty database."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def newest_schema() -> str:
    """Return the number of this server's schema; the name of each migration's file begins with its number."""
    files = Path(__file__).with_name("migrations").joinpath("versions").glob("v[0-9]*.py")
    return max(path.name[1:5] for path in files)


def _engine(url: str) -> Engine:
    if not url.startswith("sqlite"):
        return create_engine(url, **_CONNECTIONS, pool_pre_ping=True, connect_args=_POSTGRESQL)
    engine = create_engine(url, **_CONNECTIONS, connect_args={"check_same_thread": False})
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: object) -> None:
    """Let SQLAlchemy control transactions, make every commit durable on disk, and read text that was damaged (P36)."""
    connection.isolation_level = None
    connection.text_factory = _DECODED
    cursor = connection.cursor()
    for pragma in (
        f"busy_timeout={_BUSY_MILLISECONDS}",
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    """Take the write lock at the start of a job that writes: SQLite refuses to turn a reader into a writer later."""
    writes = connection.get_execution_options().get("capf_writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
