/* The front end of the benchmark: puts one kind of load on the bridge at its standard input and output, checks every
 * answer, and writes one line of JSON with what it measured to descriptor `report`. Exit status 1, with a line on
 * stderr, if an answer is wrong or does not come.
 *
 *   load MODE [name=value ...]
 *
 *   stream   data frames over all channels in turn: first as many as take `warmup-ms`, then, measured, as many as
 *            should take `ms`, as fast as the bridge takes them (with a `window`: that many bytes ahead of the echo)
 *   trip     `count` times one frame there and back
 *   open     `count` times one channel opened and closed, beside the `channels` that stay open
 *   burst    `channels` opens, at most `batch` of them unanswered (0: all sent at once)
 *   push     a helper sends `bytes` while this does not read; what the bridge grows by, then all is read and checked
 *   stall    `bytes` are sent to a helper that is stopped; what the bridge grows by, then the helper goes on and all
 *            must come back (`bytes_back` tells how much of it did within `drain-ms`)
 *
 * `pid` is the process whose CPU time and resident memory are reported: the bridge alone, not its helpers. */
#define _GNU_SOURCE
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <time.h>

#include "frames.h"
#include "front.h"

struct options {
    long pid, report;
    long channels, tags; /* channel i has tag i % tags */
    long size, mixed;    /* payload bytes of a data frame; whether they vary from 8 to that */
    long window;         /* bytes sent and not yet back, at most; 0: no bound */
    long ms, warmup_ms, drain_ms;
    long count, batch;
    long bytes;
    const char *payload;
    bool push; /* opens ask for `bytes` */
};

static struct options options = {.report = 2, .channels = 1, .size = 64, .ms = 500, .warmup_ms = 100, .drain_ms = 10000,
                                 .count = 1000, .batch = 100, .bytes = 256 << 20, .payload = "bench-echo"};

enum { QUIET_MS = 500, SAMPLE_MS = 20, PUSH_PAYLOAD = 64 * 1024 };

struct usage {
    uint64_t wall_ns, cpu_ns;
};

static void __attribute__((format(printf, 1, 2))) report(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vdprintf((int)options.report, format, args);
    va_end(args);
}

static struct usage usage_now(void)
{
    struct timespec t = {0};
    clockid_t clock;
    if (options.pid > 0 && (clock_getcpuclockid((pid_t)options.pid, &clock) != 0 || clock_gettime(clock, &t) < 0))
        fail("no process %ld to measure", options.pid);
    return (struct usage){now_ns(), (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec};
}

static struct usage usage_since(struct usage start)
{
    struct usage now = usage_now();
    return (struct usage){now.wall_ns - start.wall_ns, now.cpu_ns - start.cpu_ns};
}

static long rss_kib(void)
{
    char path[64], line[256];
    long kib = -1;
    snprintf(path, sizeof path, "/proc/%ld/status", options.pid);
    FILE *status = fopen(path, "r");
    if (status == NULL)
        return -1;
    while (fgets(line, sizeof line, status) != NULL)
        if (sscanf(line, "VmRSS: %ld", &kib) == 1)
            break;
    fclose(status);
    return kib;
}

static size_t open_frame(char *out, size_t number)
{
    char json[512], tag[48] = "", push[48] = "";
    if (options.tags > 0)
        snprintf(tag, sizeof tag, ",\"tag\":\"%ld\"", (long)number % options.tags);
    if (options.push)
        snprintf(push, sizeof push, ",\"push\":%ld", options.bytes / PUSH_PAYLOAD);
    snprintf(json, sizeof json, "{\"command\":\"open\",\"channel\":\"c%zu\",\"payload\":\"%s\"%s%s}", number,
             options.payload, tag, push);
    return control_frame(out, json);
}

static size_t close_frame(char *out, size_t number)
{
    char json[128];
    snprintf(json, sizeof json, "{\"command\":\"close\",\"channel\":\"c%zu\"}", number);
    return control_frame(out, json);
}

static void wait_ready(struct front *f, size_t count)
{
    while (f->ready < count) {
        front_wait(f, false);
        front_read(f);
    }
}

/* Opens channels first..last-1, at most `batch` unanswered; all at once if it is 0. */
static void open_channels(struct front *f, size_t first, size_t last, size_t batch)
{
    if (batch == 0)
        batch = last - first;
    char *out = malloc(batch * 640);
    if (out == NULL)
        fail("out of memory");
    size_t before = f->ready;
    for (size_t next = first; next < last;) {
        size_t n = 0;
        for (size_t i = 0; i < batch && next < last; i++, next++) {
            front_expect(f, next, OPENING);
            n += open_frame(out + n, next);
        }
        front_send(f, out, n);
        wait_ready(f, before + next - first);
    }
    free(out);
}

static void handshake(struct front *f)
{
    char hello[128];
    front_send(f, hello, control_frame(hello, "{\"command\":\"init\",\"version\":1,\"host\":\"localhost\"}"));
    while (!f->inited) {
        front_wait(f, false);
        front_read(f);
    }
}

/* Sends what is queued and waits until all is back, or until `deadline`. */
static void stream_until(struct front *f, uint64_t deadline)
{
    while (f->bytes_received < f->bytes_queued && now_ns() < deadline) {
        size_t limit = SIZE_MAX;
        if (options.window > 0) {
            size_t ahead = (size_t)(f->bytes_sent - f->bytes_received), window = (size_t)options.window;
            limit = ahead < window - window / 8 ? window - ahead : 0;
        }
        short events = front_wait(f, f->bytes_sent < f->bytes_queued && limit > 0);
        if (events & POLLOUT)
            front_write(f, limit);
        if (events & POLLIN)
            front_read(f);
    }
}

/* Sends so many frames more and waits until all are back; the time it took. */
static struct usage stream_frames(struct front *f, uint64_t frames)
{
    struct usage start = usage_now();
    front_queue(f, frames);
    stream_until(f, UINT64_MAX);
    return usage_since(start);
}

static void report_stream(struct front *f)
{
    front_block(f, (size_t)options.channels, (size_t)options.size, options.mixed != 0);
    open_channels(f, 0, (size_t)options.channels, (size_t)options.batch);
    uint64_t frames = 1;
    struct usage used = stream_frames(f, frames);
    while (used.wall_ns < (uint64_t)options.warmup_ms * 1000000u)
        used = stream_frames(f, frames *= 2);
    frames = 1 + frames * (uint64_t)options.ms * 1000000u / used.wall_ns;
    uint64_t frames_before = f->frames_received, bytes = f->bytes_received;
    used = stream_frames(f, frames);
    if (f->frames_received - frames_before != frames)
        fail("%llu frames sent, %llu came back", (unsigned long long)frames,
             (unsigned long long)(f->frames_received - frames_before));
    report("{\"frames\":%llu,\"bytes\":%llu,\"wall_ns\":%llu,\"cpu_ns\":%llu,\"rss_kib\":%ld}\n",
           (unsigned long long)frames, (unsigned long long)(f->bytes_received - bytes),
           (unsigned long long)used.wall_ns, (unsigned long long)used.cpu_ns, rss_kib());
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void report_latencies(uint64_t *ns, size_t count, struct usage used)
{
    qsort(ns, count, sizeof *ns, by_value);
    report("{\"count\":%zu,\"p50_ns\":%llu,\"p99_ns\":%llu,\"wall_ns\":%llu,\"cpu_ns\":%llu}\n", count,
           (unsigned long long)ns[count / 2], (unsigned long long)ns[count * 99 / 100],
           (unsigned long long)used.wall_ns, (unsigned long long)used.cpu_ns);
}

/* Opens one channel and closes it; nanoseconds from open to ready. */
static uint64_t open_and_close(struct front *f, size_t number)
{
    char out[640];
    uint64_t start = now_ns();
    size_t ready = f->ready;
    open_channels(f, number, number + 1, 1);
    uint64_t ns = now_ns() - start;
    if (f->ready != ready + 1)
        fail("channel c%zu was opened, %zu became ready", number, f->ready - ready);
    front_expect(f, number, CLOSING);
    size_t closed = f->closed;
    front_send(f, out, close_frame(out, number));
    while (f->closed == closed) {
        front_wait(f, false);
        front_read(f);
    }
    return ns;
}

static void report_each(struct front *f, bool opens)
{
    size_t count = (size_t)options.count, warmup = count / 10 + 1, held = (size_t)options.channels;
    uint64_t *ns = calloc(count + warmup, sizeof *ns);
    if (ns == NULL)
        fail("out of memory");
    if (!opens)
        front_block(f, 1, (size_t)options.size, false);
    open_channels(f, 0, held, (size_t)options.batch);
    struct usage start = usage_now();
    for (size_t i = 0; i < warmup + count; i++) {
        if (i == warmup)
            start = usage_now();
        ns[i] = opens ? open_and_close(f, held + i) : stream_frames(f, 1).wall_ns;
    }
    report_latencies(ns + warmup, count, usage_since(start));
}

static void report_burst(struct front *f)
{
    open_channels(f, 0, 1, 1);
    long before = rss_kib();
    struct usage start = usage_now();
    open_channels(f, 1, 1 + (size_t)options.channels, (size_t)options.batch);
    struct usage used = usage_since(start);
    report("{\"opens\":%ld,\"wall_ns\":%llu,\"cpu_ns\":%llu,\"rss_before_kib\":%ld,\"rss_kib\":%ld}\n",
           options.channels, (unsigned long long)used.wall_ns, (unsigned long long)used.cpu_ns, before, rss_kib());
}

/* Writes what the bridge takes within one sample's time, and reads nothing. */
static void write_for_a_sample(struct front *f)
{
    uint64_t now = now_ns(), end = now + SAMPLE_MS * 1000000u;
    for (; now < end; now = now_ns()) {
        bool more = f->bytes_sent < f->bytes_queued;
        struct pollfd out = {.fd = more ? STDOUT_FILENO : -1, .events = POLLOUT};
        if (poll(&out, 1, (int)((end - now) / 1000000u) + 1) > 0)
            front_write(f, SIZE_MAX);
    }
}

/* The most resident memory the bridge had until for a while it took no byte, did not grow and hardly ran. */
static long peak_until_quiet(struct front *f)
{
    long peak = 0;
    struct usage last = usage_now();
    for (int quiet = 0; quiet < QUIET_MS; quiet += SAMPLE_MS) {
        uint64_t sent = f->bytes_sent;
        write_for_a_sample(f);
        long kib = rss_kib();
        struct usage now = usage_now();
        if (kib > peak || f->bytes_sent > sent || now.cpu_ns - last.cpu_ns > SAMPLE_MS * 10000u)
            quiet = 0;
        peak = kib > peak ? kib : peak;
        last = now;
    }
    return peak;
}

static void report_growth(long before, long peak, uint64_t taken, uint64_t back)
{
    report("{\"rss_before_kib\":%ld,\"rss_peak_kib\":%ld,\"bytes_taken\":%llu,\"bytes_back\":%llu}\n", before,
           peak, (unsigned long long)taken, (unsigned long long)back);
}

static void report_push(struct front *f)
{
    uint64_t frames = (uint64_t)options.bytes / PUSH_PAYLOAD;
    char out[640];
    long before = rss_kib();
    options.push = true;
    front_expect(f, 0, OPENING);
    front_send(f, out, open_frame(out, 0));
    long peak = peak_until_quiet(f);
    while (f->frames_pushed < frames) {
        front_wait(f, false);
        front_read(f);
    }
    report_growth(before, peak, 0, f->frames_pushed * PUSH_PAYLOAD);
}

static void report_stall(struct front *f)
{
    front_block(f, 1, (size_t)options.size, false);
    open_channels(f, 0, 1, 1);
    long before = rss_kib();
    if (f->helper_pid <= 0 || kill(f->helper_pid, SIGSTOP) < 0)
        fail("the helper (pid %d) cannot be stopped: %s", f->helper_pid, strerror(errno));
    front_queue(f, (uint64_t)(options.bytes / options.size));
    long peak = peak_until_quiet(f);
    uint64_t taken = f->bytes_sent;
    kill(f->helper_pid, SIGCONT);
    stream_until(f, now_ns() + (uint64_t)options.drain_ms * 1000000u);
    report_growth(before, peak, taken, f->bytes_received);
}

static void option(const char *argument)
{
    const struct {
        const char *name;
        long *value;
    } numbers[] = {
        {"pid", &options.pid},     {"report", &options.report},       {"channels", &options.channels},
        {"tags", &options.tags},   {"size", &options.size},           {"mixed", &options.mixed},
        {"ms", &options.ms},       {"warmup-ms", &options.warmup_ms}, {"window", &options.window},
        {"count", &options.count}, {"drain-ms", &options.drain_ms},   {"batch", &options.batch},
        {"bytes", &options.bytes},
    };
    const char *equals = strchr(argument, '=');
    if (equals == NULL)
        fail("not name=value: %s", argument);
    size_t n = (size_t)(equals - argument);
    if (n == 7 && memcmp(argument, "payload", n) == 0) {
        options.payload = equals + 1;
        return;
    }
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (strlen(numbers[i].name) == n && memcmp(argument, numbers[i].name, n) == 0) {
            *numbers[i].value = strtol(equals + 1, NULL, 10);
            return;
        }
    fail("unknown option: %s", argument);
}

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "";
    for (int i = 2; i < argc; i++)
        option(argv[i]);
    if (options.size < 8 || options.channels < 1 || options.count < 1)
        fail("size must be at least 8, channels and count at least 1");
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    struct front f;
    front_start(&f, (size_t)(options.channels + 2 * options.count + 16));
    handshake(&f);
    if (strcmp(mode, "stream") == 0)
        report_stream(&f);
    else if (strcmp(mode, "trip") == 0)
        report_each(&f, false);
    else if (strcmp(mode, "open") == 0)
        report_each(&f, true);
    else if (strcmp(mode, "burst") == 0)
        report_burst(&f);
    else if (strcmp(mode, "push") == 0)
        report_push(&f);
    else if (strcmp(mode, "stall") == 0)
        report_stall(&f);
    else
        fail("unknown mode '%s'", mode);
    return 0;
}
