/* The wire format of docs/protocol.md, as far as the benchmark's programs need it. */
#ifndef BENCH_FRAMES_H
#define BENCH_FRAMES_H

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HEADER_BAD ((size_t)-1)
#define CHANNEL_MAX 256 /* longest channel id looked for, bytes */

struct header {
    size_t length; /* the number in the length line: channel, LF and payload */
    const char *channel;
    size_t channel_len; /* 0: the control channel */
};

/* The size of the header (both lines) at `p`; 0 if more than `n` bytes are needed, HEADER_BAD if it is none. */
static inline size_t header_parse(const char *p, size_t n, struct header *out)
{
    size_t i = 0, length = 0;
    while (i < n && p[i] >= '0' && p[i] <= '9') {
        length = length * 10 + (size_t)(p[i] - '0');
        if (++i > 8)
            return HEADER_BAD;
    }
    if (i == n)
        return 0;
    if (p[i] != '\n' || i == 0 || length == 0)
        return HEADER_BAD;
    i++;
    size_t scan = n - i < length ? n - i : length;
    if (scan > CHANNEL_MAX)
        scan = CHANNEL_MAX;
    const char *lf = scan ? memchr(p + i, '\n', scan) : NULL;
    if (lf == NULL)
        return scan == length || scan == CHANNEL_MAX ? HEADER_BAD : 0;
    out->length = length;
    out->channel = p + i;
    out->channel_len = (size_t)(lf - (p + i));
    return (size_t)(lf + 1 - p);
}

static inline const char *json_skip_string(const char *p, const char *end)
{
    for (p++; p < end && *p != '"'; p++)
        if (*p == '\\')
            p++;
    return p < end ? p + 1 : end;
}

static inline const char *json_skip_value(const char *p, const char *end)
{
    int depth = 0;
    while (p < end) {
        if (*p == '"') {
            p = json_skip_string(p, end);
            if (depth == 0)
                return p;
            continue;
        }
        if (depth == 0 && (*p == ',' || *p == '}'))
            return p;
        if (*p == '{' || *p == '[')
            depth++;
        else if ((*p == '}' || *p == ']') && --depth == 0)
            return p + 1;
        p++;
    }
    return end;
}

static inline const char *json_skip_space(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r' || *p == ',' || *p == ':'))
        p++;
    return p;
}

/* The text of a top-level member's value, strings with their quotes; NULL if there is none. */
static inline const char *json_member(const char *json, size_t n, const char *name, size_t *len)
{
    const char *p = memchr(json, '{', n), *end = json + n;
    size_t name_len = strlen(name);
    if (p == NULL)
        return NULL;
    for (p++;;) {
        p = json_skip_space(p, end);
        if (p >= end || *p != '"')
            return NULL;
        const char *key = p + 1;
        p = json_skip_string(p, end);
        size_t key_len = (size_t)(p - 1 - key);
        const char *value = json_skip_space(p, end);
        p = json_skip_value(value, end);
        if (key_len == name_len && memcmp(key, name, key_len) == 0) {
            *len = (size_t)(p - value);
            return value;
        }
    }
}

/* Whether a top-level member is this string (given with its quotes). */
static inline bool json_is(const char *json, size_t n, const char *name, const char *quoted)
{
    size_t len;
    const char *value = json_member(json, n, name, &len);
    return value != NULL && len == strlen(quoted) && memcmp(value, quoted, len) == 0;
}

/* A top-level member as a number, `otherwise` if it is absent. */
static inline long json_number(const char *json, size_t n, const char *name, long otherwise)
{
    size_t len;
    const char *value = json_member(json, n, name, &len);
    return value == NULL ? otherwise : strtol(value, NULL, 10);
}

/* A control frame with this JSON, into `out`; its size. `out` has room for the JSON and 12 bytes more. */
static inline size_t control_frame(char *out, const char *json)
{
    return (size_t)sprintf(out, "%zu\n\n%s", strlen(json) + 1, json);
}

#endif
