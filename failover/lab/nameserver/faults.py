"""What can be wrong with a name server of the lab, switched on and off while it runs."""

from dataclasses import dataclass


@dataclass(slots=True, kw_only=True)
class Faults:
    """Everything off at first. Units are in the names; the server reads them at every message.

    `silent`: takes everything, answers nothing. `delay_s`: before each answer. `servfail`: to every question and update.
    `refuse_updates`: REFUSED. `ignore_updates`: NOERROR, and nothing happens. `lose_answers`: that many updates are
    applied and never answered. `drop_updates`: that many updates are neither applied nor answered.
    `updates_per_s`: what exceeds it gets SERVFAIL (a provider's throttling; DNS has no word for it).
    `clock_offset_s`: by how much its clock is wrong when it checks signatures. `rejects_key`: it has another secret (BADSIG).
    `frozen_content`: on a secondary, new content is not taken over (lag without end).
    """

    silent: bool = False
    delay_s: float = 0.0
    servfail: bool = False
    refuse_updates: bool = False
    ignore_updates: bool = False
    lose_answers: int = 0
    drop_updates: int = 0
    updates_per_s: float = 0.0
    clock_offset_s: float = 0.0
    rejects_key: bool = False
    frozen_content: bool = False
