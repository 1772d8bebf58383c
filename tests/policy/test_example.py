"""The example that newcomers start from, and the schema that their editors use."""

from pathlib import Path

from failover.model.policy import Writers
from failover.policy import load
from failover.policy.schema import schema_text

POLICIES = Path(__file__).parents[2] / "policies"


def test_the_example_holds_what_it_promises_and_no_warning() -> None:
    result = load(POLICIES)
    fleet = result.policy.fleet
    assert result.warnings == ()
    assert len({entry.provider for entry in fleet.clusters}) == 2
    assert len(fleet.regions()) == 3
    assert len({entry.datacenter for entry in fleet.clusters}) == 4
    assert len(fleet.clusters) == 5
    assert sorted(vantage.region for vantage in fleet.vantages) == ["", "", "ap-south", "eu-west", "us-east"]
    assert len(result.policy.applications) == 3
    singles = [w for a in result.policy.applications for w in a.workloads if w.writers is Writers.SINGLE]
    assert [str(item.ref) for item in singles] == ["statefulset/ledger/database"]


def test_the_committed_schema_is_current_and_every_example_names_it() -> None:
    assert (POLICIES / "failover.schema.json").read_text() == schema_text()
    for path in POLICIES.glob("*.yaml"):
        assert path.read_text().splitlines()[0] == "# yaml-language-server: $schema=failover.schema.json", (
            path
        )


def test_the_generation_does_not_depend_on_files_order_or_comments(tmp_path: Path) -> None:
    whole = "\n---\n".join(path.read_text() for path in sorted(POLICIES.glob("*.yaml"), reverse=True))
    folder = tmp_path / POLICIES.name
    folder.mkdir()
    (folder / "all.yaml").write_text(whole + "\n# a comment\n")
    made = load(folder).policy
    example = load(POLICIES).policy
    assert [item.name for item in made.applications] == [item.name for item in example.applications]
    # Paths in a file are relative to its folder: only they may differ here.
    assert made.guards == example.guards
    assert made.schedules == example.schedules
    assert load(folder).policy.generation == made.generation
