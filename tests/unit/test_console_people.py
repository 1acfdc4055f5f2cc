"""Who may use the console: passwords, users, sessions and the throttle, with the attempts to get around them."""

from __future__ import annotations

import base64
import json
from contextlib import closing
from pathlib import Path

import pytest

from deploy.cli import run
from deploy.console.people.passwords import NOBODYS, check_fitness, hashed, matches, one_time_password
from deploy.console.people.roles import RIGHTS, Right, Role
from deploy.console.people.sessions import Lifetimes, Session, Sessions
from deploy.console.people.throttle import SignInThrottle
from deploy.console.people.users import Users
from deploy.console.provisioning import announcement
from schemas.errors import ConfigurationError

GOOD = "four words of no order"


class Clock:
    def __init__(self) -> None:
        self.at = 1_000_000.0

    def __call__(self) -> float:
        return self.at


def test_password_is_kept_as_a_salted_hash_only() -> None:
    first, second = hashed(GOOD), hashed(GOOD)
    assert first != second and GOOD not in first
    assert matches(GOOD, first) and matches(GOOD, second)
    assert not matches(GOOD + "!", first) and not matches("", first) and not matches(GOOD, NOBODYS)
    assert one_time_password() != one_time_password()


@pytest.mark.parametrize("password", ["short", "x" * 129, "aaaaaaaaaaaaaaaa", "my name is ada really"])
def test_weak_password_is_refused(password: str) -> None:
    with pytest.raises(ConfigurationError):
        check_fitness(password, "ada")


def test_rights_are_the_least_that_a_role_needs() -> None:
    assert RIGHTS[Role.VIEWER] == {Right.SEE}
    assert Right.SEE_BOOKS not in RIGHTS[Role.OPERATOR]
    assert not RIGHTS[Role.FINANCE] & {Right.REPLAY, Right.REPAIR, Right.SEE_ORIGINALS}
    assert RIGHTS[Role.ADMIN] == set(Right)


def test_user_is_added_with_a_password_for_once_and_another_process_sees_it(tmp_path: Path) -> None:
    path = tmp_path / "users.json"
    here, there = Users(path), Users(path)
    assert there.all() == []
    password = here.add("ada", Role.ADMIN)
    user = there.of("ada")
    assert user is not None and user.must_change and matches(password, user.password)
    here.set_password("ada", GOOD)
    user = there.of("ada")
    assert user is not None and not user.must_change and matches(GOOD, user.password)
    assert path.stat().st_mode & 0o077 == 0 and GOOD not in path.read_text()
    here.remove("ada")
    assert there.of("ada") is None
    with pytest.raises(ConfigurationError, match="no user"):
        here.remove("ada")


@pytest.mark.parametrize("name", ["", "Ada", "../ada", "a b", "-ada", "a" * 64, "ädä", "a\n"])
def test_name_of_a_user_is_plain(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot be a user's name"):
        Users(tmp_path / "users.json").add(name, Role.VIEWER)


@pytest.mark.parametrize("content", ["", "[]", '{"users": [{"name": "ada"}]}', '{"users": [], "more": 1}', "\xff"])
def test_file_that_is_no_file_of_users_lets_nobody_in(tmp_path: Path, content: str) -> None:
    (tmp_path / "users.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(ConfigurationError, match="users file"):
        Users(tmp_path / "users.json").of("ada")


def made_sessions(tmp_path: Path, clock: Clock) -> tuple[Users, Sessions]:
    users = Users(tmp_path / "users.json")
    users.add("ada", Role.VIEWER)
    users.set_password("ada", GOOD)
    return users, Sessions(tmp_path / "sessions", users, Lifetimes(3_600, 600), clock)


def test_session_lives_through_a_restart_and_not_longer_than_it_may(tmp_path: Path) -> None:
    clock = Clock()
    users, sessions = made_sessions(tmp_path, clock)
    cookie = sessions.cookie(sessions.new(users.of("ada")))
    sessions.close()
    with closing(Sessions(tmp_path / "sessions", users, Lifetimes(3_600, 600), clock)) as again:
        session = again.read(cookie)
        assert session is not None and session.user == users.of("ada") and again.renewed(session) is None
        for _ in range(6):
            clock.at += 590
            session = again.read(cookie)
            assert session is not None
            renewed = again.renewed(session)
            assert renewed is not None
            cookie = again.cookie(renewed)
        clock.at += 100
        assert again.read(cookie) is None, "an hour is over"


def test_session_ends_without_requests_by_sign_out_and_with_its_user(tmp_path: Path) -> None:
    clock = Clock()
    users, sessions = made_sessions(tmp_path, clock)
    with closing(sessions):
        idle, left, demoted = (sessions.new(users.of("ada")) for _ in range(3))
        sessions.end(left)
        assert sessions.read(sessions.cookie(left)) is None
        assert sessions.read(sessions.cookie(demoted)) is not None
        users.add("ada", Role.OPERATOR)
        assert sessions.read(sessions.cookie(demoted)) is None, "other role, other password"
        users.remove("ada")
        assert sessions.read(sessions.cookie(idle)) is None
        nobody = sessions.new()
        clock.at += 601
        assert sessions.read(sessions.cookie(nobody)) is None


def test_forged_cookies_are_nobody(tmp_path: Path) -> None:
    users, sessions = made_sessions(tmp_path, Clock())
    with closing(sessions):
        session = sessions.new(users.of("ada"))
        cookie = sessions.cookie(session)
        payload, _, signature = cookie.rpartition(".")
        other = base64.urlsafe_b64encode(json.dumps(["x", "ada", "x", 1_000_000, 1_000_000]).encode()).decode()
        for forged in (None, "", ".", cookie[:-1], payload, f"{other}.{signature}", "a" * 5_000, "ä.ö", cookie + "A"):
            assert sessions.read(forged) is None, forged
        assert sessions.has_token(session, sessions.token(session))
        for token in ("", sessions.token(sessions.new()), sessions.token(session)[:-1], "ä"):
            assert not sessions.has_token(session, token)


def test_each_session_has_its_own_id_and_token(tmp_path: Path) -> None:
    _, sessions = made_sessions(tmp_path, Clock())
    with closing(sessions):
        made: list[Session] = [sessions.new() for _ in range(50)]
        assert len({one.session_id for one in made}) == len({sessions.token(one) for one in made}) == 50


def test_guessing_gets_slower_and_a_stranger_keeps_nobody_out() -> None:
    clock = Clock()
    throttle = SignInThrottle(clock)
    for _ in range(5):
        assert throttle.wait_seconds("ada", "10.0.0.1") == 0
        throttle.failed("ada", "10.0.0.1")
    waits = []
    for _ in range(4):
        waits.append(throttle.wait_seconds("ada", "10.0.0.1"))
        clock.at += waits[-1]
        throttle.failed("ada", "10.0.0.1")
    assert waits == [1, 2, 4, 8]
    assert throttle.wait_seconds("ada", "10.0.0.2") == 0, "the person, from elsewhere"
    clock.at += 3_601
    throttle.failed("ada", "10.0.0.1")
    assert throttle.wait_seconds("ada", "10.0.0.1") == 0, "an hour later it is forgotten"


def test_many_names_from_one_address_and_one_name_from_many_are_slowed_down() -> None:
    throttle = SignInThrottle(Clock())
    for number in range(25):
        throttle.failed(f"user{number}", "10.0.0.1")
    assert throttle.wait_seconds("somebody", "10.0.0.1") > 0
    for number in range(50):
        throttle.failed("ada", f"10.0.1.{number}")
    assert throttle.wait_seconds("ada", "10.9.9.9") > 0
    for number in range(30_000):
        throttle.failed(f"user{number}", f"10.1.{number // 250}.{number % 250}")
    assert len(throttle._failures) <= 10_000, "memory is bounded"


def test_users_are_added_listed_and_removed_on_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("ORDERSYNC_USERS", raising=False)
    console = ["console", "--home", str(tmp_path)]
    assert run([*console, "user", "add", "ada", "--role", "operator"]) == 0
    password = capsys.readouterr().out.split()[-1]
    user = Users(tmp_path / "console" / "users.json").of("ada")
    assert user is not None and user.must_change and matches(password, user.password)
    assert run([*console, "user", "list", "--json"]) == 0
    [listed] = json.loads(capsys.readouterr().out)
    assert (listed["name"], listed["role"], "password" in listed) == ("ada", "operator", False)
    assert run([*console, "user", "remove", "ada"]) == 0
    assert run([*console, "user", "remove", "ada"]) == 2
    assert run([*console, "user", "add", "Ada Lovelace"]) == 2
    assert run([*console, "user", "add", "ada", "--role", "king"]) == 2


def test_first_user_is_made_once_and_told_once(tmp_path: Path) -> None:
    first, again = announcement(tmp_path), announcement(tmp_path)
    assert first.startswith(f"{again}  first sign-in: admin / ")
    user = Users(tmp_path / "console" / "users.json").of("admin")
    assert user is not None and user.role is Role.ADMIN and user.must_change
    assert matches(first.split()[-1], user.password)
