"""Finds the first seed that shows each mutant, for every invariant that it breaks:
`python -m tests.simulation.hunt [SEEDS [MUTANT...]]`.
"""

import sys
from concurrent.futures import ProcessPoolExecutor

from failover.lab.simulation.mutants import MUTANTS, Catch, hunt


def one(task: tuple[int, int, str]) -> tuple[str, Catch]:
    number, seeds, invariant = task
    return invariant, hunt(MUTANTS[number], seeds=seeds, by=invariant)


def main() -> None:
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    asked = sys.argv[2:]
    tasks = [
        (number, seeds, invariant)
        for number, mutant in enumerate(MUTANTS)
        if not asked or mutant.name in asked
        for invariant in mutant.caught_by
    ]
    with ProcessPoolExecutor() as pool:
        for invariant, catch in pool.map(one, tasks):
            found = f"seed {catch.seed}: {catch.sentence}" if catch.seed else f"not within {seeds}"
            sys.stdout.write(f"{catch.mutant:30} {invariant:9} {found}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
