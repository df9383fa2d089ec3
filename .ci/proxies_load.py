"""Registers and refreshes behind a proxy while it reloads and arkloop restarts, and asks afterwards for all that was acknowledged."""

import collections
import http.client
import threading
import time

from proxies_run import Client

REFRESHERS, REFRESHES_EACH_SECOND = 6, 40
REGISTRARS, REGISTRATIONS_EACH_SECOND = 3, 20
# With fewer there might be nothing on its way at the moment of a restart.
FEWEST_EACH_SECOND = 40
PASSWORD = "a quiet harbour"
# What a proxy answers while there is no server behind it. Not 500, and not 401: that would be a session that is lost.
NOBODY_THERE = {502, 503, 504}


class Load:
    """What was asked, what was answered, and what was answered wrongly."""

    def __init__(self, proxy):
        self.proxy, self.over = proxy, threading.Event()
        self.outcomes, self.faults = collections.Counter(), []
        self.registered, self.cookies = [], {}

    def register(self, client, login):
        body = {"login": login, "password": PASSWORD, "email": f"{login}@example.org"}
        return client.ask("POST", "/v1/auth/register", body)

    def attempt(self, client, what, ask, expect):
        """One request; `None` if it was not acknowledged, which is allowed here."""
        try:
            answer = ask()
        except (OSError, http.client.HTTPException) as error:
            # Like a browser: a new connection for the next request.
            client.close()
            self.outcomes[f"{what}: {type(error).__name__}"] += 1
            return None
        self.outcomes[f"{what}: {answer.status}"] += 1
        if answer.status == expect:
            return answer
        if answer.status not in NOBODY_THERE:
            self.faults.append(f"{what} answered {answer.status}: {answer.text}")
        return None

    def steadily(self, each_second, step):
        due = time.monotonic()
        while not self.over.is_set():
            step()
            due = max(due + 1 / each_second, time.monotonic() - 1)
            time.sleep(max(0.0, due - time.monotonic()))

    def keep_registering(self, number):
        client, count = Client(self.proxy), 0

        def step():
            nonlocal count
            count += 1
            login = f"new-{number}-{count}"
            if self.attempt(client, "register", lambda: self.register(client, login), 201):
                self.registered.append(login)
        self.steadily(REGISTRATIONS_EACH_SECOND, step)

    def keep_refreshing(self, number):
        client = Client(self.proxy)
        cookie = self.register(client, f"steady-{number}").cookie()

        def step():
            nonlocal cookie
            answer = self.attempt(client, "refresh", lambda: client.ask("POST", "/v1/auth/refresh", cookie=cookie), 200)
            cookie = answer.cookie() if answer else cookie
        self.steadily(REFRESHES_EACH_SECOND, step)
        self.cookies[number] = cookie

    def ask_afterwards(self):
        """Signs in to every account that was acknowledged, and continues every session."""
        client = Client(self.proxy)
        for login in self.registered:
            answer = client.ask("POST", "/v1/auth/login", {"login": login, "password": PASSWORD})
            if answer.status != 200:
                self.faults.append(f"{login} was acknowledged and cannot sign in: {answer.status}")
        for number, cookie in self.cookies.items():
            answer = client.ask("POST", "/v1/auth/refresh", cookie=cookie)
            if answer.status != 200:
                self.faults.append(f"the session of steady-{number} was acknowledged and does not continue: {answer.status}")
        client.close()


def lose_nothing_acknowledged(setting):
    load = Load(setting.proxy)
    threads = [threading.Thread(target=load.keep_refreshing, args=(number,)) for number in range(REFRESHERS)]
    threads += [threading.Thread(target=load.keep_registering, args=(number,)) for number in range(REGISTRARS)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for disturb in [setting.proxy.reload, setting.arkloop.restart] * 2:
        time.sleep(1.2)
        disturb()
    time.sleep(1.2)
    load.over.set()
    for thread in threads:
        thread.join()
    seconds = time.monotonic() - began
    load.ask_afterwards()

    rate = sum(load.outcomes.values()) / seconds
    outcomes = ", ".join(f"{what} {count}" for what, count in sorted(load.outcomes.items()))
    print(f"  {rate:.0f} requests/s for {seconds:.1f} s with two reloads and two restarts: {outcomes}")
    assert len(load.cookies) == REFRESHERS, "a client that refreshes broke off"
    assert rate >= FEWEST_EACH_SECOND, f"only {rate:.0f} requests/s: the machine is too busy for this to show anything"
    assert not load.faults, "\n".join(load.faults)
    print(f"  ok: {len(load.registered)} accounts sign in and {len(load.cookies)} sessions continue")
