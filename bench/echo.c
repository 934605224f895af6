/* The helper of the benchmark: it sends data frames back as they came, as cheaply as it can, so that what is measured
 * is the bridge and not this. Data is passed on as slices of what was read, large frames before they are whole.
 *
 * `open` is answered with `ready` (which tells this process's pid), `close` with `close`. An open with `push: N` also
 * gets N data frames of 64 KiB payload, the frame's number in the first eight bytes. Arguments are ignored: they only
 * make one helper differ from another. */
#include "frames.h"

enum { BUFFER = 256 * 1024, REPLIES = 64 * 1024, PUSH_PAYLOAD = 64 * 1024 };

static char buffer[BUFFER], replies[REPLIES];
static size_t replies_len;

static void write_all(const char *p, size_t n)
{
    while (n > 0) {
        ssize_t done = write(STDOUT_FILENO, p, n);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            exit(errno == EPIPE ? 0 : 1);
        p += done;
        n -= (size_t)done;
    }
}

static void flush_replies(void)
{
    write_all(replies, replies_len);
    replies_len = 0;
}

static void push(const char *channel, size_t channel_len, long frames)
{
    static char frame[PUSH_PAYLOAD + CHANNEL_MAX + 16];
    size_t header = (size_t)sprintf(frame, "%zu\n%.*s\n", channel_len + 1 + PUSH_PAYLOAD, (int)channel_len, channel);
    memset(frame + header, 'p', PUSH_PAYLOAD);
    flush_replies();
    for (long i = 0; i < frames; i++) {
        char number[20];
        snprintf(number, sizeof number, "%08lx", i);
        memcpy(frame + header, number, 8);
        write_all(frame, header + PUSH_PAYLOAD);
    }
}

static void on_control(const char *json, size_t n)
{
    size_t channel_len;
    const char *channel = json_member(json, n, "channel", &channel_len);
    if (channel == NULL || channel_len > CHANNEL_MAX)
        return;
    char reply[CHANNEL_MAX + 128];
    bool opened = json_is(json, n, "command", "\"open\"");
    if (opened)
        snprintf(reply, sizeof reply, "{\"command\":\"ready\",\"channel\":%.*s,\"pid\":%d}", (int)channel_len, channel,
                 (int)getpid());
    else if (json_is(json, n, "command", "\"close\""))
        snprintf(reply, sizeof reply, "{\"command\":\"close\",\"channel\":%.*s}", (int)channel_len, channel);
    else
        return;
    if (replies_len + sizeof reply + 12 > REPLIES)
        flush_replies();
    replies_len += control_frame(replies + replies_len, reply);
    long frames = opened ? json_number(json, n, "push", 0) : 0;
    if (frames > 0)
        push(channel + 1, channel_len - 2, frames);
}

/* Answers what is whole in buffer[0:n]; returns how many bytes at the end must wait for more. `*passing` is what the
 * data frame at the end still lacks. */
static size_t on_bytes(size_t n, size_t *passing)
{
    size_t pos = *passing < n ? *passing : n, slice = 0;
    *passing -= pos;
    while (pos < n) {
        struct header header;
        size_t size = header_parse(buffer + pos, n - pos, &header);
        if (size == HEADER_BAD) {
            fprintf(stderr, "echo: bad frame header\n");
            exit(1);
        }
        if (size == 0)
            break;
        size_t payload = header.length - header.channel_len - 1;
        if (header.channel_len > 0) {
            size_t frame = size + payload, here = frame < n - pos ? frame : n - pos;
            if (replies_len > 0) {
                flush_replies();
                slice = pos;
            }
            pos += here;
            *passing = frame - here;
            continue;
        }
        if (size + payload > n - pos)
            break;
        if (pos > slice)
            write_all(buffer + slice, pos - slice);
        on_control(buffer + pos + size, payload);
        pos += size + payload;
        slice = pos;
    }
    if (pos > slice)
        write_all(buffer + slice, pos - slice);
    flush_replies();
    return n - pos;
}

int main(void)
{
    char hello[128];
    write_all(hello, control_frame(hello, "{\"command\":\"init\",\"version\":1}"));
    size_t kept = 0, passing = 0;
    for (;;) {
        ssize_t got = read(STDIN_FILENO, buffer + kept, BUFFER - kept);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0;
        size_t n = kept + (size_t)got;
        kept = on_bytes(n, &passing);
        if (kept == BUFFER) {
            fprintf(stderr, "echo: control frame larger than %d bytes\n", BUFFER);
            return 1;
        }
        memmove(buffer, buffer + n - kept, kept);
    }
}
