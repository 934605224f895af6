#define _GNU_SOURCE
#include "front.h"

#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <time.h>

#include "frames.h"

enum {
    IN_ROOM = 256 * 1024,
    BLOCK_BYTES = 512 * 1024, /* at least: fits the second-level cache */
    STUCK_MS = 20000,         /* without any progress */
    PUSH_PAYLOAD = 64 * 1024, /* as in echo.c */
};

void fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("load: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(1);
}

uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void *room(size_t count, size_t size)
{
    void *p = calloc(count, size);
    if (p == NULL)
        fail("out of memory");
    return p;
}

void front_start(struct front *f, size_t channels)
{
    *f = (struct front){.in = room(IN_ROOM, 1), .states = room(channels, 1), .channels = channels};
    fcntl(STDIN_FILENO, F_SETFL, fcntl(STDIN_FILENO, F_GETFL) | O_NONBLOCK);
    fcntl(STDOUT_FILENO, F_SETFL, fcntl(STDOUT_FILENO, F_GETFL) | O_NONBLOCK);
}

static size_t frame_fill(char *out, size_t channel, size_t size, size_t number)
{
    char id[32];
    int id_len = snprintf(id, sizeof id, "c%zu", channel);
    size_t n = (size_t)sprintf(out, "%zu\n%s\n", size + (size_t)id_len + 1, id);
    char *payload = out + n;
    for (size_t i = 0; i < size; i++)
        payload[i] = (char)('a' + (i * 7 + number * 13) % 26);
    char digits[20];
    snprintf(digits, sizeof digits, "%08zx", number);
    memcpy(payload, digits, 8);
    return n + size;
}

/* Sizes that follow no pattern a bridge could use; the same in every run. */
static size_t mixed_size(size_t number, size_t size)
{
    uint64_t x = (number + 1) * 0x9E3779B97F4A7C15u;
    x = (x ^ (x >> 31)) * 0xBF58476D1CE4E5B9u;
    return 8 + (size_t)((x ^ (x >> 29)) % (size - 7));
}

void front_block(struct front *f, size_t channels, size_t size, bool mixed)
{
    struct block *b = &f->block;
    size_t frame_max = size + 40, turns = BLOCK_BYTES / (frame_max * channels) + 2;
    b->channels = channels;
    b->frames = channels * turns;
    b->bytes = room(b->frames, frame_max);
    b->starts = room(b->frames + 1, sizeof *b->starts);
    b->expected = room(channels, sizeof *b->expected);
    for (size_t i = 0; i < b->frames; i++) {
        size_t payload = mixed ? mixed_size(i, size) : size;
        b->starts[i + 1] = b->starts[i] + frame_fill(b->bytes + b->starts[i], i % channels, payload, i);
    }
    for (size_t i = 0; i < channels; i++)
        b->expected[i] = i;
}

void front_expect(struct front *f, size_t number, enum state state)
{
    if (number >= f->channels)
        fail("no room for channel c%zu", number);
    f->states[number] = (unsigned char)state;
}

static size_t channel_number(const char *id, size_t n)
{
    size_t number = 0;
    for (size_t i = 1; i < n; i++)
        number = number * 10 + (size_t)(id[i] - '0');
    return n > 1 && id[0] == 'c' ? number : SIZE_MAX;
}

static void on_control(struct front *f, const char *json, size_t n)
{
    if (json_is(json, n, "command", "\"init\"")) {
        f->inited = true;
        if (json_member(json, n, "problem", &(size_t){0}) != NULL)
            fail("the bridge gave up: %.*s", (int)n, json);
        return;
    }
    bool ready = json_is(json, n, "command", "\"ready\"");
    if (!ready && !json_is(json, n, "command", "\"close\""))
        return;
    size_t id_len = 2;
    const char *id = json_member(json, n, "channel", &id_len);
    size_t number = id == NULL ? SIZE_MAX : channel_number(id + 1, id_len - 2);
    if (number >= f->channels || f->states[number] != (ready ? OPENING : CLOSING))
        fail("not expected: %.*s", (int)n, json);
    f->states[number] = ready ? READY : CLOSED;
    f->ready += ready;
    f->closed += !ready;
    f->helper_pid = (int)json_number(json, n, "pid", f->helper_pid);
}

static void on_pushed(struct front *f, const char *payload, size_t n)
{
    char digits[20];
    snprintf(digits, sizeof digits, "%08lx", (unsigned long)f->frames_pushed);
    if (n != PUSH_PAYLOAD || memcmp(payload, digits, 8) != 0 || payload[n - 1] != 'p')
        fail("pushed frame %s is wrong: %zu bytes, starts with %.8s", digits, n, payload);
    f->frames_pushed++;
}

/* Finds which of the sent frames this header starts, and moves its channel on. */
static size_t frame_find(struct front *f, const char *p, size_t size, const struct header *header)
{
    struct block *b = &f->block;
    size_t number = channel_number(header->channel, header->channel_len);
    if (number >= b->channels)
        fail("data on channel %.*s, which has none", (int)header->channel_len, header->channel);
    size_t i = b->expected[number];
    if (memcmp(p, b->bytes + b->starts[i], size) != 0)
        fail("frame of %zu bytes on channel c%zu, sent was %.8s", header->length, number, b->bytes + b->starts[i]);
    return i;
}

static void frame_passed(struct front *f, size_t i)
{
    struct block *b = &f->block;
    size_t next = i + b->channels;
    b->expected[i % b->channels] = next < b->frames ? next : next - b->frames;
    f->guess = i + 1 < b->frames ? i + 1 : 0;
    f->frames_received++;
}

static void compare(struct front *f, const char *p, size_t n)
{
    if (memcmp(p, f->rest_at, n) != 0)
        fail("payload differs from what was sent, near byte %llu", (unsigned long long)f->bytes_received);
    f->rest_at += n;
    f->rest -= n;
    f->bytes_received += n;
}

/* Steps over frames that come in the order in which they were sent. */
static size_t pass_guessed(struct front *f, const char *p, size_t n)
{
    struct block *b = &f->block;
    size_t pos = 0;
    while (b->frames > 0) {
        size_t i = f->guess, size = b->starts[i + 1] - b->starts[i];
        if (size > n - pos || b->expected[i % b->channels] != i || memcmp(p + pos, b->bytes + b->starts[i], size) != 0)
            break;
        frame_passed(f, i);
        pos += size;
    }
    f->bytes_received += pos;
    return pos;
}

/* Takes one frame, or the first part of a data frame; 0 if more must be read first. */
static size_t take_frame(struct front *f, const char *p, size_t n)
{
    struct header header;
    size_t size = header_parse(p, n, &header);
    if (size == HEADER_BAD)
        fail("bad frame header: %.*s", (int)(n < 40 ? n : 40), p);
    if (size == 0)
        return 0;
    size_t payload = header.length - header.channel_len - 1;
    if (header.channel_len > 0 && f->block.frames > 0) {
        size_t i = frame_find(f, p, size, &header);
        frame_passed(f, i);
        f->rest_at = f->block.bytes + f->block.starts[i] + size;
        f->rest = payload;
        f->bytes_received += size;
        return size;
    }
    if (size + payload > IN_ROOM)
        fail("frame of %zu bytes where none was expected", header.length);
    if (size + payload > n)
        return 0;
    if (header.channel_len > 0)
        on_pushed(f, p + size, payload);
    else
        on_control(f, p + size, payload);
    return size + payload;
}

void front_read(struct front *f)
{
    ssize_t got = read(STDIN_FILENO, f->in + f->in_len, IN_ROOM - f->in_len);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0)
        fail("the bridge ended (%s)", got < 0 ? strerror(errno) : "end of file");
    size_t n = f->in_len + (size_t)got, pos = 0;
    while (pos < n) {
        if (f->rest > 0) {
            size_t here = f->rest < n - pos ? f->rest : n - pos;
            compare(f, f->in + pos, here);
            pos += here;
            continue;
        }
        pos += pass_guessed(f, f->in + pos, n - pos);
        size_t taken = pos < n ? take_frame(f, f->in + pos, n - pos) : 0;
        if (taken == 0)
            break;
        pos += taken;
    }
    memmove(f->in, f->in + pos, n - pos);
    f->in_len = n - pos;
}

short front_wait(struct front *f, bool want_write)
{
    struct pollfd fds[2] = {{.fd = STDIN_FILENO, .events = POLLIN},
                            {.fd = want_write ? STDOUT_FILENO : -1, .events = POLLOUT}};
    int n = poll(fds, 2, STUCK_MS);
    if (n < 0 && errno != EINTR)
        fail("poll: %s", strerror(errno));
    if (n == 0)
        fail("nothing moved for %d s: %llu bytes of data sent, %llu came back, %zu channels ready, %zu closed",
             STUCK_MS / 1000, (unsigned long long)f->bytes_sent, (unsigned long long)f->bytes_received, f->ready,
             f->closed);
    if (n < 0)
        return 0;
    return (short)((fds[0].revents ? POLLIN : 0) | (fds[1].revents ? POLLOUT : 0));
}

static size_t write_some(const char *p, size_t n)
{
    ssize_t done = write(STDOUT_FILENO, p, n);
    if (done < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (done < 0)
        fail("the bridge takes no more: %s", strerror(errno));
    return (size_t)done;
}

void front_queue(struct front *f, uint64_t frames)
{
    const struct block *b = &f->block;
    uint64_t end = f->queued_at + frames;
    f->bytes_queued += end / b->frames * b->starts[b->frames] + b->starts[end % b->frames] - b->starts[f->queued_at];
    f->queued_at = end % b->frames;
}

size_t front_write(struct front *f, size_t limit)
{
    struct block *b = &f->block;
    size_t here = b->starts[b->frames] - f->write_at;
    uint64_t queued = f->bytes_queued - f->bytes_sent;
    limit = queued < limit ? queued : limit;
    size_t done = write_some(b->bytes + f->write_at, here < limit ? here : limit);
    f->write_at = done == here ? 0 : f->write_at + done;
    f->bytes_sent += done;
    return done;
}

void front_send(struct front *f, const char *bytes, size_t n)
{
    while (n > 0) {
        size_t done = write_some(bytes, n);
        bytes += done;
        n -= done;
        if (n > 0 && front_wait(f, true) & POLLIN)
            front_read(f);
    }
}
