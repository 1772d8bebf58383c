"""What a fence record says about whether we may change what it guards. Pure: no DNS library."""

from failover.model.records import FenceRecord

UNREADABLE_OWNER = "unreadable"
"""Owner of a fence record that is not one of ours or has been tampered with: nobody's changes may go past it."""


def fence_text(fence: FenceRecord | None) -> str:
    """The fence as it stands in the zone, "" if absent; for one that cannot be read, what stands there instead."""
    if fence is None:
        return ""
    return fence.plan if fence.owner == UNREADABLE_OWNER else fence.text


def foreign_fence(found: FenceRecord, ours: FenceRecord) -> str:
    """Why a fence shuts us out, as a sentence; "" if it does not (DESIGN section 6)."""
    if found.owner == UNREADABLE_OWNER:
        return f"the fence record cannot be read: {found.plan}"
    mine = FenceRecord.parse(ours.text)  # as the zone would give it back
    if found.owner != mine.owner:
        return f"the fence belongs to {found.owner}, not to {mine.owner}"
    if found.epoch > mine.epoch:
        return f"the fence is of epoch {found.epoch} by {found.holder}, newer than our {mine.epoch}"
    if found.epoch == mine.epoch and found.holder != mine.holder:
        return f"{found.holder} holds our epoch {mine.epoch} as well"
    return ""
