"""The joint engine: one placement of all demands over all sites under shared capacity. `solve(problem) -> Solution`.

Pure numbers over frozen values: it knows no cluster, no policy document and no verdict; who calls it translates. Nothing
here reads a clock or draws a random number: what looks random is a hash of names. Only `problem` does without numpy, so
`solve` and `survive` are imported where a plan is made, not where a command starts.
"""
