/* The front end of the benchmark of what a bridge serves itself, at the bridge's standard input and output. Writes one
 * line of JSON with what it measured to descriptor `report`; exit status 1, with a line on stderr, if an answer does
 * not come or is none.
 *
 *   load MODE [name=value ...]
 *
 *   take     one channel: `first` is sent, then `done`; what comes until it is closed must be `bytes` times x
 *   give     one channel: `bytes` are sent in frames of `size`, then `done`; until it is closed
 *   each     `count` times a channel as in `take`, one after another
 *   trip     one channel: `count` times `depth` messages `first` are sent, and as many bytes (answer=bytes) or
 *            messages (answer=messages) waited for
 *   hold     `channels` channels; what each of them costs once it has had `ready`, or a message if answer=messages
 *   beside   `take`, and meanwhile one round trip after another on a channel of payload `echo`
 *
 * `open` are the members of the open, as JSON without its braces; a channel of members `warm` comes and
 * goes before. Pings of the bridge are answered. `pid` is the process
 * whose CPU time and memory are reported: the bridge alone. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <time.h>

#include "../frames.h"

enum { IN_ROOM = 4 << 20, STUCK_MS = 10000, OPEN_ROOM = 16384 };

static struct {
    long pid, report, bytes, size, count, depth, channels, done;
    const char *open, *first, *answer, *warm;
} options = {.report = 2, .size = 65536, .count = 1000, .depth = 1, .channels = 1, .done = 1,
             .open = "", .first = "", .answer = "ready", .warm = ""};

/* What came of the channel that is looked at, and in all. */
static struct {
    char in[IN_ROOM];
    size_t in_len, skip; /* bytes of a payload that are still to come */
    bool inited, closed, over_echo, skip_is_echo;
    bool warming; /* a problem is no failure */
    size_t ready;
    uint64_t bytes, messages, echoes;
    char close[512];
    char pongs[OPEN_ROOM]; /* to be sent between two frames of ours */
    size_t pongs_len;
} state;

static char expected[IN_ROOM];

static void __attribute__((noreturn, format(printf, 1, 2))) fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("load: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    exit(1);
}

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t cpu_ns(void)
{
    struct timespec t = {0};
    clockid_t clock;
    if (clock_getcpuclockid((pid_t)options.pid, &clock) != 0 || clock_gettime(clock, &t) < 0)
        fail("no process %ld to measure", options.pid);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* A line of /proc/PID/status, kB. */
static long status_kib(const char *name)
{
    char path[64], line[256];
    long kib = -1;
    size_t n = strlen(name);
    snprintf(path, sizeof path, "/proc/%ld/status", options.pid);
    FILE *status = fopen(path, "r");
    if (status == NULL)
        return -1;
    while (kib < 0 && fgets(line, sizeof line, status) != NULL)
        if (strncmp(line, name, n) == 0 && line[n] == ':')
            kib = strtol(line + n + 1, NULL, 10);
    fclose(status);
    return kib;
}

/* From now on VmHWM counts anew; what is resident now. */
static long reset_peak(void)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%ld/clear_refs", options.pid);
    int fd = open(path, O_WRONLY);
    if (fd < 0 || write(fd, "5", 1) != 1)
        fail("%s: %s", path, strerror(errno));
    close(fd);
    return status_kib("VmRSS");
}

static void read_some(void);

static short wait_for(bool writing)
{
    struct pollfd fds[2] = {{.fd = STDIN_FILENO, .events = POLLIN},
                            {.fd = writing ? STDOUT_FILENO : -1, .events = POLLOUT}};
    if (poll(fds, 2, STUCK_MS) == 0)
        fail("nothing moved for %d s: %llu bytes and %llu messages came, %zu channels ready", STUCK_MS / 1000,
             (unsigned long long)state.bytes, (unsigned long long)state.messages, state.ready);
    return (short)((fds[0].revents ? POLLIN : 0) | (fds[1].revents ? POLLOUT : 0));
}

static void send_all(const char *p, size_t n)
{
    while (n > 0) {
        ssize_t done = write(STDOUT_FILENO, p, n);
        if (done < 0 && errno != EAGAIN && errno != EINTR)
            fail("the bridge takes no more: %s", strerror(errno));
        if (done > 0) {
            p += done;
            n -= (size_t)done;
        } else if (wait_for(true) & POLLIN)
            read_some();
    }
}

/* Never from within a frame: what answers the bridge goes out first. */
static void send_whole(const char *p, size_t n)
{
    while (state.pongs_len > 0) {
        char pongs[OPEN_ROOM];
        size_t len = state.pongs_len;
        memcpy(pongs, state.pongs, len);
        state.pongs_len = 0;
        send_all(pongs, len);
    }
    send_all(p, n);
}

static void send_control(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void send_control(const char *format, ...)
{
    static char json[OPEN_ROOM], frame[OPEN_ROOM + 16];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(json, sizeof json, format, args);
    va_end(args);
    if (n < 0 || n >= (int)sizeof json)
        fail("too long: %.80s", json);
    send_whole(frame, control_frame(frame, json));
}

static void on_control(const char *json, size_t n)
{
    if (json_is(json, n, "command", "\"init\""))
        state.inited = true;
    else if (json_is(json, n, "channel", "\"echo\""))
        state.ready += json_is(json, n, "command", "\"ready\"");
    else if (json_is(json, n, "command", "\"ready\""))
        state.ready++;
    else if (json_is(json, n, "command", "\"ping\"")) {
        size_t len;
        const char *channel = json_member(json, n, "channel", &len);
        long sequence = json_number(json, n, "sequence", 0);
        char pong[512];
        if (channel == NULL || len > 256 || state.pongs_len + sizeof pong > sizeof state.pongs)
            fail("a ping too many: %.*s", (int)n, json);
        snprintf(pong, sizeof pong, "{\"command\":\"pong\",\"channel\":%.*s,\"sequence\":%ld}", (int)len, channel,
                 sequence);
        state.pongs_len += control_frame(state.pongs + state.pongs_len, pong);
    } else if (json_is(json, n, "command", "\"close\"")) {
        state.closed = true;
        snprintf(state.close, sizeof state.close, "%.*s", (int)n, json);
        if (!state.warming && json_member(json, n, "problem", &(size_t){0}) != NULL)
            fail("closed: %s", state.close);
    }
}

/* Where `bytes` are expected they are all x. */
static void on_payload(const char *p, size_t n)
{
    if (options.bytes > 0 && memcmp(p, expected, n) != 0)
        fail("what came is not what was sent, near byte %llu", (unsigned long long)state.bytes);
    state.bytes += n;
}

/* Takes what is there of one frame; 0 if more must be read first. */
static size_t take(const char *p, size_t n)
{
    if (state.skip > 0) {
        size_t here = state.skip < n ? state.skip : n;
        if (state.skip_is_echo)
            state.echoes += here;
        else
            on_payload(p, here);
        state.skip -= here;
        if (state.skip == 0 && !state.skip_is_echo)
            state.messages++;
        return here;
    }
    struct header header;
    size_t size = header_parse(p, n, &header);
    if (size == HEADER_BAD)
        fail("bad frame header: %.*s", (int)(n < 40 ? n : 40), p);
    if (size == 0)
        return 0;
    size_t payload = header.length - header.channel_len - 1;
    if (header.channel_len == 0) {
        if (size + payload > n)
            return 0;
        on_control(p + size, payload);
        return size + payload;
    }
    state.skip_is_echo = header.channel_len == 4 && memcmp(header.channel, "echo", 4) == 0;
    state.skip = payload;
    if (payload == 0 && !state.skip_is_echo)
        state.messages++;
    return size;
}

static void read_some(void)
{
    ssize_t got = read(STDIN_FILENO, state.in + state.in_len, IN_ROOM - state.in_len);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0)
        fail("the bridge ended (%s)", got < 0 ? strerror(errno) : "end of file");
    size_t n = state.in_len + (size_t)got, pos = 0, taken;
    while (pos < n && (taken = take(state.in + pos, n - pos)) > 0)
        pos += taken;
    memmove(state.in, state.in + pos, n - pos);
    state.in_len = n - pos;
}

static void wait_read(void)
{
    wait_for(false);
    read_some();
    send_whole("", 0);
}

static void open_channel(size_t number)
{
    send_control("{\"command\":\"open\",\"channel\":\"c%zu\",%s}", number, options.open);
}

static void send_data(size_t number, const char *data, size_t n)
{
    char head[64], id[32];
    int id_len = snprintf(id, sizeof id, "c%zu", number);
    int head_len = snprintf(head, sizeof head, "%zu\n%s\n", n + (size_t)id_len + 1, id);
    static char *frame;
    static size_t room;
    if (room < n + 64) {
        room = n + 64;
        frame = realloc(frame, room);
        if (frame == NULL)
            fail("out of memory");
    }
    memcpy(frame, head, (size_t)head_len);
    memcpy(frame + head_len, data, n);
    send_whole(frame, (size_t)head_len + n);
}

static void begin(size_t number)
{
    state.closed = false;
    open_channel(number);
    if (*options.first != '\0')
        send_data(number, options.first, strlen(options.first));
    if (options.done)
        send_control("{\"command\":\"done\",\"channel\":\"c%zu\"}", number);
}

struct usage {
    uint64_t wall_ns, cpu_ns;
    long rss_kib;
};

static struct usage usage_now(void)
{
    return (struct usage){now_ns(), cpu_ns(), status_kib("VmRSS")};
}

static void report_volume(struct usage start, long before, uint64_t bytes)
{
    uint64_t wall = now_ns() - start.wall_ns, cpu = cpu_ns() - start.cpu_ns;
    dprintf((int)options.report,
            "{\"bytes\":%llu,\"messages\":%llu,\"wall_ns\":%llu,\"cpu_ns\":%llu,\"rss_before_kib\":%ld,"
            "\"rss_peak_kib\":%ld}\n",
            (unsigned long long)bytes, (unsigned long long)state.messages, (unsigned long long)wall,
            (unsigned long long)cpu, before, status_kib("VmHWM"));
}

static void check_bytes(void)
{
    if (options.bytes > 0 && state.bytes != (uint64_t)options.bytes)
        fail("%llu bytes came, not %ld; %s", (unsigned long long)state.bytes, options.bytes, state.close);
}

static void mode_take(void)
{
    long before = reset_peak();
    struct usage start = usage_now();
    begin(0);
    while (!state.closed)
        wait_read();
    check_bytes();
    report_volume(start, before, state.bytes);
}

static void mode_give(void)
{
    char *data = malloc((size_t)options.size);
    if (data == NULL)
        fail("out of memory");
    memset(data, 'x', (size_t)options.size);
    open_channel(0);
    while (state.ready == 0)
        wait_read();
    long before = reset_peak();
    struct usage start = usage_now();
    for (long sent = 0; sent < options.bytes; sent += options.size)
        send_data(0, data, (size_t)(options.bytes - sent < options.size ? options.bytes - sent : options.size));
    send_control("{\"command\":\"done\",\"channel\":\"c0\"}");
    while (!state.closed)
        wait_read();
    report_volume(start, before, (uint64_t)options.bytes);
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void report_latencies(uint64_t *ns, size_t count, struct usage start)
{
    uint64_t wall = now_ns() - start.wall_ns, cpu = cpu_ns() - start.cpu_ns;
    qsort(ns, count, sizeof *ns, by_value);
    dprintf((int)options.report,
            "{\"count\":%zu,\"p50_ns\":%llu,\"p99_ns\":%llu,\"max_ns\":%llu,\"wall_ns\":%llu,\"cpu_ns\":%llu}\n", count,
            (unsigned long long)ns[count / 2], (unsigned long long)ns[count * 99 / 100],
            (unsigned long long)ns[count - 1], (unsigned long long)wall, (unsigned long long)cpu);
}

static uint64_t *room_for(size_t count)
{
    uint64_t *ns = calloc(count, sizeof *ns);
    if (ns == NULL)
        fail("out of memory");
    return ns;
}

static void mode_each(void)
{
    size_t count = (size_t)options.count, warmup = count / 10 + 1;
    uint64_t *ns = room_for(count + warmup);
    struct usage start = usage_now();
    for (size_t i = 0; i < warmup + count; i++) {
        if (i == warmup)
            start = usage_now();
        uint64_t began = now_ns();
        state.bytes = 0;
        begin(i);
        while (!state.closed)
            wait_read();
        check_bytes();
        ns[i] = now_ns() - began;
    }
    report_latencies(ns + warmup, count, start);
}

static void mode_trip(void)
{
    size_t count = (size_t)options.count, warmup = count / 10 + 1, n = strlen(options.first);
    uint64_t *ns = room_for(count + warmup);
    bool messages = strcmp(options.answer, "messages") == 0;
    char *filler = NULL;
    if (n == 0) { /* messages of `size` bytes */
        n = (size_t)options.size;
        filler = malloc(n + 1);
        if (filler == NULL)
            fail("out of memory");
        memset(filler, 'x', n);
    }
    const char *data = filler != NULL ? filler : options.first;
    open_channel(0);
    while (state.ready == 0)
        wait_read();
    struct usage start = usage_now();
    for (size_t i = 0; i < warmup + count; i++) {
        if (i == warmup)
            start = usage_now();
        uint64_t began = now_ns(), before = messages ? state.messages : state.bytes;
        uint64_t wanted = (uint64_t)options.depth * (messages ? 1 : n);
        for (long sent = 0; sent < options.depth; sent++)
            send_data(0, data, n);
        while ((messages ? state.messages : state.bytes) - before < wanted)
            wait_read();
        ns[i] = now_ns() - began;
    }
    report_latencies(ns + warmup, count, start);
}

static void mode_hold(void)
{
    bool messages = strcmp(options.answer, "messages") == 0;
    size_t channels = (size_t)options.channels;
    options.done = options.done == 1 && messages;
    begin(channels); /* what the first one brings with it is not counted */
    while (messages ? state.messages < 1 : state.ready < 1)
        wait_read();
    struct usage start = usage_now();
    uint64_t first = 0;
    for (size_t i = 0; i < channels; i++)
        begin(i);
    while (messages ? state.messages < channels + 1 : state.ready < channels + 1) {
        wait_read();
        if (first == 0)
            first = now_ns() - start.wall_ns;
    }
    uint64_t all = now_ns() - start.wall_ns;
    usleep(300000); /* what is let go of afterwards is not counted either */
    dprintf((int)options.report,
            "{\"channels\":%zu,\"wall_ns\":%llu,\"first_ns\":%llu,\"cpu_ns\":%llu,\"rss_before_kib\":%ld,"
            "\"rss_kib\":%ld}\n",
            channels, (unsigned long long)all, (unsigned long long)first, (unsigned long long)(cpu_ns() - start.cpu_ns),
            start.rss_kib, status_kib("VmRSS"));
}

static void mode_beside(void)
{
    enum { MOST = 1 << 20, PAYLOAD = 64 };
    static const char echo[] = "69\necho\nxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";
    uint64_t *ns = room_for(MOST);
    send_control("{\"command\":\"open\",\"channel\":\"echo\",\"payload\":\"echo\"}");
    while (state.ready == 0)
        wait_read();
    long before = reset_peak();
    struct usage start = usage_now();
    bool messages = strcmp(options.answer, "messages") == 0; /* so many (`count`) are the end of it */
    begin(0);
    size_t trips = 0;
    while (!state.closed && !(messages && state.messages >= (uint64_t)options.count) && trips < MOST) {
        uint64_t began = now_ns(), wanted = state.echoes + PAYLOAD;
        send_whole(echo, sizeof echo - 1);
        while (state.echoes < wanted)
            wait_read();
        ns[trips++] = now_ns() - began;
    }
    uint64_t wall = now_ns() - start.wall_ns, cpu = cpu_ns() - start.cpu_ns;
    check_bytes();
    qsort(ns, trips, sizeof *ns, by_value);
    dprintf((int)options.report,
            "{\"bytes\":%llu,\"messages\":%llu,\"wall_ns\":%llu,\"cpu_ns\":%llu,\"trips\":%zu,\"p50_ns\":%llu,"
            "\"p99_ns\":%llu,\"max_ns\":%llu,\"rss_before_kib\":%ld,\"rss_peak_kib\":%ld}\n",
            (unsigned long long)state.bytes, (unsigned long long)state.messages, (unsigned long long)wall,
            (unsigned long long)cpu, trips, (unsigned long long)ns[trips / 2], (unsigned long long)ns[trips * 99 / 100],
            (unsigned long long)ns[trips - 1], before, status_kib("VmHWM"));
}

/* One channel of members `warm`, until it is closed: what a bridge loads for the first of its kind is not measured. */
static void warm_up(void)
{
    long bytes = options.bytes;
    options.bytes = 0;
    state.warming = true;
    send_control("{\"command\":\"open\",\"channel\":\"warm\",%s}", options.warm);
    send_control("{\"command\":\"done\",\"channel\":\"warm\"}");
    while (!state.closed)
        wait_read();
    state.warming = state.closed = false;
    state.ready = state.bytes = state.messages = 0;
    options.bytes = bytes;
}

static void option(const char *argument)
{
    const struct {
        const char *name;
        long *number;
        const char **text;
    } known[] = {
        {"pid", &options.pid, NULL},     {"report", &options.report, NULL}, {"bytes", &options.bytes, NULL},
        {"size", &options.size, NULL},   {"count", &options.count, NULL},   {"depth", &options.depth, NULL},
        {"done", &options.done, NULL},   {"open", NULL, &options.open},     {"channels", &options.channels, NULL},
        {"first", NULL, &options.first}, {"answer", NULL, &options.answer},
        {"warm", NULL, &options.warm},
    };
    const char *equals = strchr(argument, '=');
    for (size_t i = 0; equals != NULL && i < sizeof known / sizeof *known; i++) {
        size_t n = strlen(known[i].name);
        if (n != (size_t)(equals - argument) || memcmp(argument, known[i].name, n) != 0)
            continue;
        if (known[i].number != NULL)
            *known[i].number = strtol(equals + 1, NULL, 10);
        else
            *known[i].text = equals + 1;
        return;
    }
    fail("unknown option: %s", argument);
}

int main(int argc, char **argv)
{
    const struct {
        const char *name;
        void (*run)(void);
    } modes[] = {{"take", mode_take}, {"give", mode_give}, {"each", mode_each},
                 {"trip", mode_trip}, {"hold", mode_hold}, {"beside", mode_beside}};
    for (int i = 2; i < argc; i++)
        option(argv[i]);
    memset(expected, 'x', sizeof expected);
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    fcntl(STDIN_FILENO, F_SETFL, fcntl(STDIN_FILENO, F_GETFL) | O_NONBLOCK);
    fcntl(STDOUT_FILENO, F_SETFL, fcntl(STDOUT_FILENO, F_GETFL) | O_NONBLOCK);
    send_control("{\"command\":\"init\",\"version\":1,\"host\":\"localhost\"}");
    while (!state.inited)
        wait_read();
    if (*options.warm != '\0')
        warm_up();
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
        if (argc > 1 && strcmp(argv[1], modes[i].name) == 0) {
            modes[i].run();
            return 0;
        }
    fail("unknown mode");
}
