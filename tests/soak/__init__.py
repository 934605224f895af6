"""Chaos, checked: helpers killed and stopped, manifests edited, channels opened and closed; no byte goes unaccounted.

    schedule  what is done and when: the only place where chance has a say
    model     what must then come from the bridge, and what must not
    peer      the helpers' program, and what a frame holds
    wire      the front end's two pipes
    faults    helper processes by pidfd, manifests on disk
    errands   what the bridge is asked to serve itself, and what must become of it; served: those on their way
    partners  whom errands need, how these are killed, and what may then become of an errand
    starved   whom the machine gave no processor: no finding
    site      what errands are sent to: servers, a bus, an extension, files, another host
    run       the schedule, played on a real bridge, with the model looking on

`python -m tests.soak --seconds 120 --seed 7` plays it; the same seed makes the same decisions. When a helper that was
told to die does so, in the middle of which frame, is up to the machine.
"""
