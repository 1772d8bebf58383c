"""Names are ours one by one: what the journal says of each, and what the guards make of it."""

from dataclasses import replace

from failover.execution.ownership import owned_by
from failover.execution.safety import grant
from failover.model.journal import EffectRecorded, EffectResult, RecordsChange
from tests.execution.test_permits import changed, code, fence, records, with_fences
from tests.execution.worlds import policy, situation


def test_what_exists_is_changed_only_where_it_was_written_or_adopted_name_by_name() -> None:
    base = policy()
    strict = replace(base, zones=tuple(replace(zone, adopt=False) for zone in base.zones))
    intent, run = records()
    assert isinstance(intent.change, RecordsChange)
    change = intent.change.change
    ours = frozenset((change.zone, change.application, *item.after.key) for item in change.changes)
    neighbour = frozenset((change.zone, change.application, "other.example.test.", "A") for _ in ours)
    fenced = with_fences(intent, fence())
    assert code(grant(fenced, run, situation(policy=strict, owned=ours))) == "permit"
    for owned in (frozenset(), neighbour):
        answer = grant(fenced, run, situation(policy=strict, owned=owned))
        assert code(answer) == "own-names"
        assert "failover dns adopt" in str(answer)
    unfenced = with_fences(intent, None)
    assert code(grant(unfenced, run, situation(policy=strict, owned=ours))) == "own-names", (
        "the fence is gone"
    )
    adopting = changed(fenced, change=replace(change, fence_before=fence(), adopt=True))
    assert code(grant(adopting, run, situation(policy=strict))) == "permit"


def test_a_name_becomes_ours_when_a_change_of_it_has_landed() -> None:
    intent, run = records()
    assert isinstance(intent.change, RecordsChange)
    change = intent.change.change
    ours = {(change.zone, change.application, *item.after.key) for item in change.changes}
    for result in EffectResult:
        event = EffectRecorded(intent=intent.id, step=intent.step, result=result)
        assert owned_by(run, event) == (ours if result.landed else set()), result
