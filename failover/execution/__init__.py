"""Pure: guards and permits (the one module that every change goes through), the step machine over a run, its report.

Lives here: what may happen next and what a crash left. May not live here: a clock, I/O, waiting; the shell in
`controller.running` reads, asks for a permit, journals the intent, sends, and journals what came back.

    runs       fold(entries) -> {id: Run}; apply(run, entry) -> Run; open_runs(runs); summarise(run, fleet) -> RunSummary;
               displacements(runs) -> what a failback undoes, by application
    rules      RULES: every rule's code, invariant and sentence, and whether a person may override it; refuse(code, sentence)
    situation  Situation: what the rules look at besides the plan and the run
    evidence   is it true: verdicts, quorum and dissent counted from the votes, freshness, the others alive
    radius     how much at once: regions away, moves an hour and a day, patience after failures
    admission  check_run(plan, situation, actor=) -> refusals; check_applications(plan, ...) -> plan without what is refused
    safety     grant(intent, run, situation) -> Permit | Refusal, with scale_rules and record_rules: every single change;
               HALTING and WAITING say what the shell makes of a refusal, any other fails the step
    machine    next_actions(run, now) -> Agenda(actions, look_again); may_begin(run, step); back_off(attempts, retry_after)
    taken_back what another manager set back after a run had set it
    report     report(run, entries) -> RunReport: phases, replicas, records, timeline, violations
    trace      violations(entries): which invariants a run's journal shows to be broken
    chain      linked, sealed, verify, verify_anchors: the hash chain over the lines as they were written
"""
