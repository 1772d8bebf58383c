"""Pure: guards and permits (the one module that every change goes through), the step machine over a run, its report.

Lives here: what may happen next and what a crash left. May not live here: a clock, I/O, waiting; the shell in
`controller.running` reads, asks for a permit, journals the intent, sends, and journals what came back.
"""
