"""A wire that takes its time, between hosts that are network namespaces: `delay.py MILLISECONDS JITTER NAMESPACE...`.

Each namespace gets a tap device `eth0`. Every frame that one sends reaches all others MILLISECONDS later, give or take JITTER, so that
frames overtake each other. It says `ready` when the devices are there, and ends when its input does. It takes root and /dev/net/tun.
"""

import ctypes
import fcntl
import heapq
import os
import random
import select
import struct
import sys
import time

CLONE_NEWNET = 0x40000000
TUNSETIFF = 0x400454CA
IFF_TAP, IFF_NO_PI = 0x0002, 0x1000
FRAME_MAX = 65_536


def tap(namespace):
    """A tap device in a namespace, which this process is in from then on."""
    with open(f"/run/netns/{namespace}") as there:
        if ctypes.CDLL(None, use_errno=True).setns(there.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"cannot enter {namespace}")
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH", b"eth0", IFF_TAP | IFF_NO_PI))
    return device


def main():
    delay, jitter = (int(word) / 1000 for word in sys.argv[1:3])
    taps = [tap(namespace) for namespace in sys.argv[3:]]
    print("ready", flush=True)
    chance = random.Random(1)
    on_the_way, number = [], 0
    while True:
        wait = max(0.0, on_the_way[0][0] - time.monotonic()) if on_the_way else None
        readable, _, _ = select.select([sys.stdin, *taps], [], [], wait)
        if sys.stdin in readable and not os.read(0, 1):
            return
        for source in (device for device in readable if device is not sys.stdin):
            try:
                frame = os.read(source, FRAME_MAX)
            except OSError:
                continue
            at = time.monotonic() + delay + chance.uniform(-jitter, jitter)
            for target in taps:
                if target != source:
                    number += 1
                    heapq.heappush(on_the_way, (at, number, target, frame))
        while on_the_way and on_the_way[0][0] <= time.monotonic():
            _, _, target, frame = heapq.heappop(on_the_way)
            try:
                os.write(target, frame)
            except OSError:
                pass  # The device is down, or full: the frame is lost, as on any wire.


main()
