"""`make bench`: each benchmark prints ratios against a peer measured in the same run.

They are no tests: nothing fails because a machine is slow.
"""

from tests.benchmarks import secret_hash


def main() -> None:
    for benchmark in (secret_hash,):
        print(f"\n{(benchmark.__doc__ or '').splitlines()[0]}")
        benchmark.main()


if __name__ == "__main__":
    main()
