"""Payload `metrics1`: samples of numbers in time (docs/metrics.md).

One file a subject (`cpu`, `memory`, `disk` ...), each with a function from text to numbers and a class that reads; the
map of all metrics is `registry`. What happens to the numbers afterwards is code without I/O: `derive`, `series`,
`compress`, `pace`, `budget`. `readings` shares them between channels, `channel` is the conversation.
"""
