"""``lada search``: the best ratios, or any other keys, by trials that several workers share.

A trial is a run of its own with values for the keys that have a range. Workers on one machine or
many share a folder: Optuna's journal of the trials, a lease for each running one, and the runs.

    settings   what a search is asked for, ``search.KEY=VALUE``
    space      ranges of keys, and the words of a trial
    compose    whether trials can be what their words say, before any is started
    ledger     journal and leases, changed under one lock
    halving    which trials are stopped early
    attempts   the folders of a trial, from which it is resumed
    worker     does trials until there are none left
    found      the best trial, and the files that are written of it
    start      what the command does

Nothing here imports torch.
"""
