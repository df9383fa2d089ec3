"""Holds thousands of slow uploads open through a proxy, and times what other clients have to wait meanwhile.

Everything is on loopback and bounded: so many uploads, so many new ones a second, so many seconds.
"""

import asyncio
import multiprocessing
import resource
import threading
import time

from proxies_run import NAME, PATIENCE_SECONDS, Client

UPLOADS, NEW_EACH_SECOND, SECONDS_BETWEEN_BYTES = 2600, 1300, 3.0
# From the moment when all are there. Together with their coming less than the ten seconds that arkloop gives a body: a
# server that lets them take its places has none left meanwhile.
SECONDS_HELD, MOST_SECONDS = 7.0, 60.0
DRIPPERS, ASKERS, REQUESTS_EACH_SECOND = 2, 8, 10
P99_MS = 100
# Two descriptors for each upload in the proxy, and some for everything else.
DESCRIPTORS = 3 * UPLOADS
HEAD = (
    f"POST /v1/auth/login HTTP/1.1\r\nHost: {NAME}\r\nContent-Type: application/json\r\n"
    "Content-Length: 9000\r\n\r\n"
).encode()


def raise_limit():
    """For this process and the proxy that it starts."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    hard = max(hard, DESCRIPTORS)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(DESCRIPTORS, hard)), hard))


class Drips:
    """As many uploads as there may be, each begun anew when it was closed."""

    def __init__(self, proxy, addresses):
        self.proxy, self.addresses = proxy, addresses
        self.number = UPLOADS // DRIPPERS
        self.open, self.most, self.closed, self.complete_at = 0, 0, 0, None
        self.deadline = time.monotonic() + MOST_SECONDS

    def count(self):
        self.open += 1
        self.most = max(self.most, self.open)
        if self.most == self.number and self.complete_at is None:
            self.complete_at = time.monotonic()
            self.deadline = self.complete_at + SECONDS_HELD

    async def drip(self, number):
        source = self.addresses[number % len(self.addresses)]
        await asyncio.sleep(number * DRIPPERS / NEW_EACH_SECOND)
        while time.monotonic() < self.deadline:
            try:
                # Without TLS, which would keep this machine busier than the uploads do.
                reader, writer = await asyncio.open_connection("127.0.0.1", self.proxy.plain_port, local_addr=(source, 0))
            except OSError:
                await asyncio.sleep(1)
                continue
            self.count()
            writer.write(HEAD)
            while time.monotonic() < self.deadline:
                writer.write(b" ")
                try:
                    await asyncio.wait_for(reader.read(1024), SECONDS_BETWEEN_BYTES)
                except asyncio.TimeoutError:
                    continue
                except OSError:
                    pass
                self.closed += 1
                break
            self.open -= 1
            writer.transport.abort()

    async def run(self):
        await asyncio.gather(*(self.drip(number) for number in range(self.number)))


def drip(proxy, addresses, outcomes):
    raise_limit()
    drips = Drips(proxy, addresses)
    asyncio.run(drips.run())
    outcomes.append((drips.most, drips.closed, drips.complete_at))


def keep_asking(proxy, token, waits, over):
    """Asks as another client, every fourth time on a new connection."""
    kept, number = Client(proxy), 0
    while not over.is_set():
        number += 1
        client = kept if number % 4 else Client(proxy, "127.0.0.3")
        began = time.monotonic()
        try:
            if number % 5:
                status = client.ask("GET", "/v1/me", token=token).status
            else:
                status = client.ask("POST", "/v1/auth/login", {"login": "somebody", "password": "no password of anybody"}).status
            elapsed = (time.monotonic() - began) * 1000
            waits.append((began, elapsed if status in (200, 401) else -elapsed))
        except OSError:
            waits.append((began, -(time.monotonic() - began) * 1000))
            client.close()
        if client is not kept:
            client.close()
        time.sleep(max(0.0, 1 / REQUESTS_EACH_SECOND - (time.monotonic() - began)))


def ask(proxy, token, waits, over):
    own = []
    threads = [threading.Thread(target=keep_asking, args=(proxy, token, own, over)) for _ in range(ASKERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    waits.extend(own)


def percentile(waits, share):
    return sorted(waits)[min(len(waits) - 1, int(len(waits) * share))]


def hold(setting, addresses):
    token = setting.register("waiter").json()["access_token"]
    with multiprocessing.Manager() as manager:
        waits, outcomes, over = manager.list(), manager.list(), multiprocessing.Event()
        asker = multiprocessing.Process(target=ask, args=(setting.proxy, token, waits, over))
        drippers = [multiprocessing.Process(target=drip, args=(setting.proxy, addresses, outcomes)) for _ in range(DRIPPERS)]
        for process in [asker, *drippers]:
            process.start()
        for process in drippers:
            process.join(2 * MOST_SECONDS)
        over.set()
        asker.join(2 * PATIENCE_SECONDS)
        exits = [process.exitcode for process in [asker, *drippers]]
        for process in [asker, *drippers]:
            process.kill()
        waits, outcomes = list(waits), list(outcomes)
    assert not any(exits) and None not in exits, f"the clients broke off: {exits}"
    assert all(complete_at for _, _, complete_at in outcomes), f"not every upload came about: {outcomes}"
    most, closed = sum(most for most, _, _ in outcomes), sum(closed for _, closed, _ in outcomes)
    # While all of them are there: before, the machine is busy with their coming, and at the end with dropping them.
    first = max(complete_at for _, _, complete_at in outcomes) + 1
    last = min(complete_at for _, _, complete_at in outcomes) + SECONDS_HELD - 0.5
    waits = [wait for moment, wait in waits if moment < last and moment + abs(wait) / 1000 > first]
    p99 = percentile(waits, 0.99)
    print(
        f"  {most} uploads at once from {len(addresses)} addresses ({closed} closed): {len(waits)} requests of others, "
        f"p50 {percentile(waits, 0.5):.1f} ms, p99 {p99:.1f} ms (aim: {P99_MS}), longest {max(waits):.0f} ms"
    )
    assert min(waits) >= 0, f"others were not served: {sorted(waits)[:5]}"
    assert p99 < P99_MS, f"others waited {p99:.0f} ms"
    assert len(waits) > 50, "too few requests to show anything"


def dripping_uploads_of_one_address(setting):
    hold(setting, ["127.0.0.4"])


def dripping_uploads_of_many_addresses(setting):
    """Enough of them to take every connection of arkloop: 200 for each."""
    hold(setting, [f"127.0.1.{number}" for number in range(1, 14)])
