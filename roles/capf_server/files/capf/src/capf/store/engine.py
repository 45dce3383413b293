"""The database engine: one writer thread with group commit, and readers apart.

A job is a function of one Connection. Jobs that wait together share one COMMIT, each inside its
own SAVEPOINT, and hear of their success only after it.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, IntegrityError

from capf.model import StoreUnavailableError

T = TypeVar("T")
Job = Callable[[Connection], T]
_GROUP = 200
_READERS = 4
_BUSY_MILLISECONDS = 5000
_POSTGRESQL = {
    "connect_timeout": 5,
    "tcp_user_timeout": 10000,
    "options": f"-c lock_timeout={_BUSY_MILLISECONDS}",
}
"""No phone waits longer for a database that is gone or locked than for one that is busy."""
_WRITES = {"capf_writes": True}


class _DryRunError(Exception):
    """Carries a dry run's result past the rollback."""


@dataclass(frozen=True, slots=True)
class _Work:
    run: Job[Any]
    future: Future[Any]


class Store:
    """The open database."""

    def __init__(self, url: str) -> None:
        """Open (or make) the database at an SQLAlchemy URL and bring its schema up to date."""
        self._engine = _engine(url)
        self._migrate()
        self._work: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._readers = ThreadPoolExecutor(_READERS, "capf-reader")
        self._writer = threading.Thread(target=self._write_forever, name="capf-writer", daemon=True)
        self._writer.start()

    def _migrate(self) -> None:
        config = Config()
        config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
        try:
            with self._engine.connect() as connection:
                config.attributes["connection"] = connection
                self._refuse_newer(connection, config)
                command.upgrade(config, "head")
                connection.commit()
        except DBAPIError as error:
            raise StoreUnavailableError(f"the database cannot be opened: {error.orig}") from error

    @staticmethod
    def _refuse_newer(connection: Connection, config: Config) -> None:
        """Leave a database alone that a newer version of the server has changed."""
        found = MigrationContext.configure(connection).get_current_revision()
        known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
        if found is not None and found not in known:
            raise StoreUnavailableError(f"the database has schema {found}, which is newer than this server knows")

    def close(self) -> None:
        """Finish the jobs that wait and close the database."""
        self._work.put(None)
        self._writer.join()
        self._readers.shutdown()
        self._engine.dispose()

    def submit(self, job: Job[T], then: Callable[[Future[T]], object] | None = None) -> Future[T]:
        """Hand a job to the writer; the future has its result after the commit.

        A job that was handed over is carried out, whoever goes on waiting for it. ``then`` is called by the writer,
        before it takes the next jobs.
        """
        future: Future[T] = Future()
        future.set_running_or_notify_cancel()
        if then is not None:
            future.add_done_callback(then)
        self._work.put(_Work(job, future))
        return future

    def write(self, job: Job[T]) -> T:
        """Run a job that changes data; returns after the commit. StoreUnavailableError when the database fails."""
        return self.submit(job).result()

    async def awrite(self, job: Job[T], then: Callable[[Future[T]], object] | None = None) -> T:
        """Do what ``write`` does, without blocking the event loop; ``then`` as in ``submit``."""
        return await asyncio.wrap_future(self.submit(job, then))

    async def adry_run(self, job: Job[T]) -> T:
        """Run a job as ``awrite`` does and roll it back; returns what it would have returned."""

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
        except DBAPIError as error:
            raise StoreUnavailableError(f"the database cannot be read: {error.orig}") from error

    async def aread(self, job: Job[T]) -> T:
        """Do what ``read`` does, without blocking the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, self.read, job)

    def stream(self, job: Job[Iterator[T]]) -> Iterator[T]:
        """Yield what a reading job yields, its connection open as long; for use outside the event loop."""
        with self._engine.connect() as connection:
            yield from job(connection)

    def _write_forever(self) -> None:
        while True:
            first = self._work.get()
            if first is None:
                return
            group = [first]
            while len(group) < _GROUP and not self._work.empty():
                following = self._work.get()
                if following is None:
                    self._work.put(None)
                    break
                group.append(following)
            self._write(group)

    def _write(self, group: list[_Work]) -> None:
        finished: list[tuple[Future[Any], Any]] = []
        try:
            with self._engine.connect().execution_options(**_WRITES) as connection, connection.begin():
                for work in group:
                    self._run(connection, work, finished)
        except Exception as error:
            unavailable = StoreUnavailableError(f"the database cannot be written: {getattr(error, 'orig', error)}")
            unavailable.__cause__ = error
            for work in group:
                if not work.future.done():
                    work.future.set_exception(unavailable)
            return
        for future, result in finished:
            future.set_result(result)

    @staticmethod
    def _run(connection: Connection, work: _Work, finished: list[tuple[Future[Any], Any]]) -> None:
        """Run one job in its savepoint; its error is its own, a database error is the whole group's."""
        connection.exec_driver_sql("SAVEPOINT job")
        try:
            result = work.run(connection)
        except Exception as error:
            if isinstance(error, DBAPIError) and not isinstance(error, IntegrityError):
                raise
            connection.exec_driver_sql("ROLLBACK TO SAVEPOINT job")
            work.future.set_exception(error)
        else:
            finished.append((work.future, result))
        connection.exec_driver_sql("RELEASE SAVEPOINT job")


def _engine(url: str) -> Engine:
    if not url.startswith("sqlite"):
        return create_engine(url, pool_size=_READERS + 1, pool_pre_ping=True, connect_args=_POSTGRESQL)
    engine = create_engine(url, connect_args={"check_same_thread": False})
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: object) -> None:
    """Leave transactions to SQLAlchemy, and make a commit mean that the data is on disk."""
    connection.isolation_level = None
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
    """Take the write lock at once where a job will write: a reader that turns writer late is refused by SQLite."""
    writes = connection.get_execution_options().get("capf_writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
