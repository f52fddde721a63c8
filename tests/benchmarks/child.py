"""`python -m tests.benchmarks.child CONTESTANT seed|serve|check …`: one contestant, in a process of its own.

Two of them can't share one: each has Django settings of its own.
"""

import gc
import importlib
import sys
import time
from functools import partial
from typing import Any, cast

from config.server import follow_the_main_process, serve
from tests.benchmarks.contestants import Module


def main(name: str, task: str, *arguments: str) -> None:
    if task == "serve":
        port, threads = map(int, arguments)
        serve(port, partial(_load, name), threads=threads)
        return
    import django

    django.setup()
    numbers = [int(argument) for argument in arguments]
    if task == "seed":
        _seed(_module(name), *numbers)
    else:
        _check(_module(name))


def _module(name: str) -> Module:
    return cast("Module", importlib.import_module(f"tests.benchmarks.contestants.{name}"))


def _load(name: str, _target: str) -> Any:
    follow_the_main_process()
    import django

    django.setup()
    application = _module(name).application()
    # As Keyrack's own loader does, for everybody.
    gc.collect()
    gc.freeze()
    return application


def _seed(module: Module, keys: int, chosen: int) -> None:
    """Print the tokens of the keys that were chosen, one a line."""
    print("\n".join(module.seed(keys, chosen)))


def _check(module: Module) -> None:
    """Read tokens up to a blank line; then, for each number read, check so many and print the seconds."""
    lines = iter(sys.stdin.readline, "")
    tokens = []
    for line in lines:
        if not line.strip():
            break
        tokens.append(line.strip())
    check = module.checking()
    for token in tokens:
        check(token)
    gc.collect()
    gc.freeze()
    print("ready", flush=True)
    for line in lines:
        many = [tokens[n % len(tokens)] for n in range(int(line))]
        started = time.perf_counter()
        for token in many:
            check(token)
        print(time.perf_counter() - started, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
