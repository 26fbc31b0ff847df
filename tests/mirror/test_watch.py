"""What a writer leaves is published without its waiting, however the store behaves."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import pytest

from graphstorm_like.errors import StoreError
from graphstorm_like.mirror import watch as watch_module
from graphstorm_like.mirror.publish import Target
from graphstorm_like.mirror.pull import pull
from graphstorm_like.mirror.snapshot import Changed, View, view_beside
from graphstorm_like.mirror.transfer import Store
from graphstorm_like.mirror.watch import Unit, Watcher

from .stores import Flaky, files_in, memory


def eventually(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.01)


def units(folder: Path, store: Store) -> Iterable[Unit]:
    state = tuple(path.read_text() for path in sorted(folder.glob("*"))) or None
    yield Unit(folder, Target(store, folder.name), state, partial(_all, folder))


def _all(folder: Path, view: View) -> None:
    for path in sorted(folder.glob("*")):
        view.copy(path, path.name)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch_module, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(watch_module, "RETRY_SECONDS", 0.01)


def test_states_come_while_one_is_sent(tmp_path: Path) -> None:
    """The writer goes on; of the states in between only the last one is sent."""
    store, folder, said = memory("behind"), tmp_path / "a", list[str]()
    store.fs = Flaky(store.fs, lambda name, *_: time.sleep(0.1) if name == "put_file" else None)  # type: ignore[func-returns-value]
    watcher = Watcher(partial(units, folder, store), said.append)
    watcher.start()
    started = time.monotonic()
    for step in range(20):
        files_in(folder, step=str(step))
        time.sleep(0.01)
    assert time.monotonic() - started < 1.0, "nobody waited"
    watcher.stop()
    watcher.look()
    assert pull(Target(store, "a"), tmp_path / "got")
    assert (tmp_path / "got/step").read_text() == "19"
    assert 2 <= sum(count for (name, _), count in store.fs.calls.items() if name == "put_file") < 10


def test_a_store_that_is_away_for_a_while(tmp_path: Path) -> None:
    store, folder, said, away = memory("comes-back"), tmp_path / "a", list[str](), [True]
    store.fs = Flaky(store.fs, lambda name, *_: OSError("no route") if away[0] and name == "put_file" else None)
    watcher = Watcher(partial(units, folder, store), said.append)
    watcher.start()
    files_in(folder, x="1")
    eventually(lambda: len(said) > 0)
    assert said[0].startswith("warning: memory://comes-back/a/x: writing must succeed")
    assert said[0].endswith("The run goes on; it is tried again")
    with pytest.raises(StoreError, match="writing must succeed"):
        watcher.look()
    assert len(said) == 1, "one line, not one a second"
    away[0] = False
    eventually(lambda: "the store answers again" in said)
    watcher.stop()
    assert pull(Target(store, "a"), tmp_path / "got")


def test_what_was_pulled_is_not_sent_back(tmp_path: Path) -> None:
    store, folder = memory("pulled"), tmp_path / "a"
    files_in(folder, x="1")
    watcher = Watcher(partial(units, folder, store), lambda _: None)
    watcher.look()
    other = tmp_path / "other/a"
    pull(Target(store, "a"), other)
    again = Watcher(partial(units, other, store), lambda _: None)
    again.start()
    again.stop()
    puts = store.counts.requests["put"]
    again.look()
    assert store.counts.requests["put"] == puts
    files_in(other, x="2")
    again.look()
    assert store.counts.requests["put"] > puts


def test_a_view_stays_as_it_is(tmp_path: Path) -> None:
    """Links to files that are replaced, copies of those that grow; a folder that is swapped meanwhile is noticed."""
    folder = tmp_path / "run"
    files_in(folder, best__weights="old", log="1\n")
    with view_beside(folder) as view:
        view.link(folder / "best", "best")
        view.copy(folder / "log", "log")
        view.copy(folder / "nothing", "nothing")
        shutil.rmtree(folder / "best")
        files_in(folder, best__weights="new")
        (folder / "log").write_text("1\n2\n")
        assert {name: path.read_text() for name, path in view.files.items()} == {"best/weights": "old", "log": "1\n"}
        held = view.folder
        with pytest.raises(Changed):
            view.link(folder / "gone", "gone")
    assert not held.exists()
