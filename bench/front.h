/* A front end's two descriptors towards a bridge, and the check that what comes back is what was sent. */
#ifndef BENCH_FRONT_H
#define BENCH_FRONT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Frames that are sent over and over, over channels c0, c1, ... in turn, no two alike. */
struct block {
    char *bytes;
    size_t *starts; /* of each frame, and last the end of all */
    size_t frames;
    size_t channels;
    size_t *expected; /* for each channel: the frame that must come back next */
};

enum state { UNUSED, OPENING, READY, CLOSING, CLOSED };

struct front {
    struct block block;
    char *in; /* bytes read that are not whole yet, at its start */
    size_t in_len;
    size_t guess;                        /* the frame that comes next if nothing overtakes */
    const char *rest_at;                 /* what is still to come of the data frame that is half here */
    size_t rest;
    size_t write_at;                     /* offset in the block of what is written next */
    uint64_t bytes_queued;               /* to be sent in all; always whole frames */
    size_t queued_at;                    /* the frame of the block after them */
    uint64_t bytes_sent, bytes_received; /* of data frames, headers included */
    uint64_t frames_received, frames_pushed;
    unsigned char *states; /* enum state, for each channel number */
    size_t channels;       /* how many of them */
    size_t ready, closed;
    bool inited;
    int helper_pid; /* the one that answered an open last */
};

_Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

uint64_t now_ns(void);

/* `channels` numbers may be opened during its life. */
void front_start(struct front *f, size_t channels);

/* Lays out data frames with `size` bytes of payload (at least 8; if `mixed` anything from 8 up to it) over `channels`
 * channels. */
void front_block(struct front *f, size_t channels, size_t size, bool mixed);

/* Notes that channel `number` is being opened or closed, so that an answer nobody asked for is found. */
void front_expect(struct front *f, size_t number, enum state state);

/* Waits until there is something to read or, if `want_write`, to write; fails if neither comes in a long time. */
short front_wait(struct front *f, bool want_write);

/* Reads once and checks all of it; fails on anything that is not what must come. */
void front_read(struct front *f);

/* Adds this many data frames to what front_write sends. */
void front_queue(struct front *f, uint64_t frames);

/* Writes at most `limit` bytes of the queued frames, none if that would block; how many it wrote. */
size_t front_write(struct front *f, size_t limit);

/* Writes all of it, reading what comes meanwhile. */
void front_send(struct front *f, const char *bytes, size_t n);

#endif
