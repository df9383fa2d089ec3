"""Holds thousands of slow uploads open through a proxy, and times what other clients have to wait meanwhile.

Everything is on loopback and bounded: so many uploads, so many new ones a second, so many seconds.
"""

import asyncio
import multiprocessing
import resource
import ssl
import threading
import time

from proxies_run import NAME, PATIENCE_SECONDS, Client

# The first ones are cut off after the ten seconds that arkloop gives a body: all places would be taken long before.
UPLOADS, NEW_EACH_SECOND, SECONDS_BETWEEN_BYTES, SECONDS = 2600, 450, 4.0, 16.0
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
        self.context = ssl.create_default_context(cafile=Client.authority_of(proxy))
        self.open, self.most, self.closed = 0, 0, 0

    async def drip(self, number, deadline):
        source = self.addresses[number % len(self.addresses)]
        await asyncio.sleep(number * DRIPPERS / NEW_EACH_SECOND)
        while time.monotonic() < deadline:
            try:
                reader, writer = await asyncio.open_connection(
                    "127.0.0.1", self.proxy.port, ssl=self.context, server_hostname=NAME, local_addr=(source, 0),
                )
            except OSError:
                await asyncio.sleep(1)
                continue
            self.open += 1
            self.most = max(self.most, self.open)
            writer.write(HEAD)
            while time.monotonic() < deadline:
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
            await asyncio.sleep(1)

    async def run(self):
        deadline = time.monotonic() + SECONDS
        await asyncio.gather(*(self.drip(number, deadline) for number in range(UPLOADS // DRIPPERS)))


def drip(proxy, addresses, outcomes):
    raise_limit()
    drips = Drips(proxy, addresses)
    asyncio.run(drips.run())
    outcomes.append((drips.most, drips.closed))


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
            waits.append((began, (time.monotonic() - began) * 1000 if status in (200, 401) else -float(status)))
        except OSError:
            waits.append((began, -1.0))
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
        began = time.monotonic()
        for process in [asker, *drippers]:
            process.start()
        for process in drippers:
            process.join(4 * SECONDS)
        over.set()
        asker.join(2 * PATIENCE_SECONDS)
        exits = [process.exitcode for process in [asker, *drippers]]
        for process in [asker, *drippers]:
            process.kill()
        # While all uploads are there. Before, and at the end, the machine is busy with making and dropping connections.
        first, last = began + UPLOADS / NEW_EACH_SECOND + 1, began + SECONDS - 1
        waits, outcomes = [wait for moment, wait in waits if first < moment < last], list(outcomes)
    assert not any(exits) and None not in exits, f"the clients broke off: {exits}"
    most, closed = (sum(column) for column in zip(*outcomes))
    p99 = percentile(waits, 0.99)
    print(
        f"  {most} uploads at once from {len(addresses)} addresses ({closed} closed): {len(waits)} requests of others, "
        f"p50 {percentile(waits, 0.5):.1f} ms, p99 {p99:.1f} ms (aim: {P99_MS}), longest {max(waits):.0f} ms"
    )
    assert min(waits) >= 0, f"others were not served: {sorted(waits)[:5]}"
    assert p99 < P99_MS, f"others waited {p99:.0f} ms"
    assert most > UPLOADS // 2 and len(waits) > 100, "too little to show anything"


def dripping_uploads_of_one_address(setting):
    hold(setting, ["127.0.0.4"])


def dripping_uploads_of_many_addresses(setting):
    """Enough of them to take every connection of arkloop: 200 for each."""
    hold(setting, [f"127.0.1.{number}" for number in range(1, 14)])
