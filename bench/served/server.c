/* What the channels of the benchmark talk to, on a unix socket and a port of loopback. A thread for each connection; nothing of it is
 * measured, so it does as little as it can.
 *
 *   server PATH KIND
 *
 * Once it listens it writes the number of the port.
 *
 *   source N   sends N bytes, and closes
 *   http       answers GET: /bytes/N with N bytes, /wait with the first of two bytes, and no more
 *   websocket  sends back what comes, frame by frame
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { BLOCK = 1 << 18, HEAD = 16384 };

static char block[BLOCK];
static const char *kind;
static uint64_t source_bytes;

static bool put(int fd, const void *data, size_t n)
{
    const char *p = data;
    while (n > 0) {
        ssize_t done = write(fd, p, n);
        if (done <= 0)
            return false;
        p += done;
        n -= (size_t)done;
    }
    return true;
}

static bool put_bytes(int fd, uint64_t n)
{
    while (n > 0) {
        size_t here = n < BLOCK ? (size_t)n : BLOCK;
        if (!put(fd, block, here))
            return false;
        n -= here;
    }
    return true;
}

/* The head of a request, with a NUL after it; false at the end. Nothing but the head is expected. */
static bool read_head(int fd, char *head)
{
    size_t n = 0;
    while (n < HEAD - 1) {
        ssize_t got = read(fd, head + n, HEAD - 1 - n);
        if (got <= 0)
            return false;
        n += (size_t)got;
        head[n] = '\0';
        if (strstr(head, "\r\n\r\n") != NULL)
            return true;
    }
    return false;
}

static void serve_http(int fd)
{
    char head[HEAD], answer[256];
    while (read_head(fd, head)) {
        if (strncmp(head, "GET /wait ", 10) == 0) {
            put(fd, answer, (size_t)sprintf(answer, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nx"));
            (void)!read(fd, head, HEAD);
            return;
        }
        unsigned long long bytes = 0;
        if (sscanf(head, "GET /bytes/%llu ", &bytes) != 1)
            return;
        size_t n = (size_t)sprintf(answer, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %llu\r\n\r\n",
                                   bytes);
        char *whole = NULL;
        if (bytes < 4096 && (whole = malloc(n + (size_t)bytes)) != NULL) { /* one write, as servers do it */
            memcpy(whole, answer, n);
            memset(whole + n, 'x', (size_t)bytes);
            bool sent = put(fd, whole, n + (size_t)bytes);
            free(whole);
            if (!sent)
                return;
        } else if (!put(fd, answer, n) || !put_bytes(fd, bytes))
            return;
    }
}

static uint32_t rotate(uint32_t x, int by)
{
    return x << by | x >> (32 - by);
}

/* SHA-1 of a text of at most 119 bytes: a WebSocket's handshake needs it, and nothing else here does. */
static void sha1(const char *text, unsigned char digest[20])
{
    unsigned char padded[128] = {0};
    size_t n = strlen(text), size = n < 56 ? 64 : 128;
    uint32_t h[5] = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0};
    memcpy(padded, text, n);
    padded[n] = 0x80;
    for (int i = 0; i < 8; i++)
        padded[size - 1 - i] = (unsigned char)((uint64_t)n * 8 >> 8 * i);
    for (size_t at = 0; at < size; at += 64) {
        uint32_t w[80], a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
        for (int i = 0; i < 16; i++) {
            const unsigned char *p = padded + at + 4 * i;
            w[i] = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
        }
        for (int i = 16; i < 80; i++)
            w[i] = rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
        for (int i = 0; i < 80; i++) {
            uint32_t f = i < 20 ? (b & c) | (~b & d) : i >= 40 && i < 60 ? (b & c) | (b & d) | (c & d) : b ^ c ^ d;
            uint32_t k = i < 20 ? 0x5A827999 : i < 40 ? 0x6ED9EBA1 : i < 60 ? 0x8F1BBCDC : 0xCA62C1D6;
            uint32_t next = rotate(a, 5) + f + e + k + w[i];
            e = d, d = c, c = rotate(b, 30), b = a, a = next;
        }
        h[0] += a, h[1] += b, h[2] += c, h[3] += d, h[4] += e;
    }
    for (int i = 0; i < 20; i++)
        digest[i] = (unsigned char)(h[i / 4] >> (24 - 8 * (i % 4)));
}

static void base64(const unsigned char *data, size_t n, char *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < n; i += 3) {
        uint32_t three = (uint32_t)data[i] << 16 | (i + 1 < n ? (uint32_t)data[i + 1] << 8 : 0) | (i + 2 < n ? data[i + 2] : 0);
        for (int j = 0; j < 4; j++)
            *out++ = i + (size_t)j > n ? '=' : digits[three >> (18 - 6 * j) & 63];
    }
    *out = '\0';
}

static bool get(int fd, void *data, size_t n)
{
    char *p = data;
    while (n > 0) {
        ssize_t got = read(fd, p, n);
        if (got <= 0)
            return false;
        p += got;
        n -= (size_t)got;
    }
    return true;
}

static void serve_websocket(int fd)
{
    char head[HEAD], key[128], accept[64], answer[512];
    if (!read_head(fd, head))
        return;
    const char *found = strcasestr(head, "\r\nsec-websocket-key:");
    if (found == NULL || sscanf(found + 20, " %60[^\r ]", key) != 1)
        return;
    strcat(key, "258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    unsigned char digest[20];
    sha1(key, digest);
    base64(digest, sizeof digest, accept);
    put(fd, answer, (size_t)sprintf(answer, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                                            "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n", accept));
    size_t room = 1 << 17;
    unsigned char *frame = malloc(room);
    while (frame != NULL) {
        unsigned char two[2], mask[4], more[8];
        if (!get(fd, two, 2) || !(two[1] & 0x80))
            break;
        size_t n = two[1] & 0x7F, bytes = n == 126 ? 2 : n == 127 ? 8 : 0;
        if (bytes > 0 && !get(fd, more, bytes))
            break;
        if (bytes > 0)
            n = 0;
        for (size_t i = 0; i < bytes; i++)
            n = n << 8 | more[i];
        if (n + 16 > room || !get(fd, mask, 4) || !get(fd, frame + 10, n))
            break;
        uint64_t eight;
        memcpy(&eight, mask, 4);
        memcpy((char *)&eight + 4, mask, 4);
        for (size_t i = 0; i < n; i += 8) {
            uint64_t word;
            memcpy(&word, frame + 10 + i, 8);
            word ^= eight;
            memcpy(frame + 10 + i, &word, 8);
        }
        unsigned char *at = frame + 10 - 2 - bytes;
        at[0] = two[0];
        at[1] = two[1] & 0x7F;
        memcpy(at + 2, more, bytes);
        if (!put(fd, at, 2 + bytes + n) || (two[0] & 0xF) == 8)
            break;
    }
    free(frame);
}

static void *serve(void *arg)
{
    int fd = (int)(intptr_t)arg, now = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &now, sizeof now); /* fails for a unix socket, which needs it not */
    if (strcmp(kind, "source") == 0)
        put_bytes(fd, source_bytes);
    else if (strcmp(kind, "http") == 0)
        serve_http(fd);
    else
        serve_websocket(fd);
    close(fd);
    return NULL;
}

static void accept_from(int listener, pthread_attr_t *attributes)
{
    int fd = accept(listener, NULL, NULL);
    pthread_t thread;
    if (fd >= 0 && pthread_create(&thread, attributes, serve, (void *)(intptr_t)fd) != 0)
        close(fd);
}

static int listen_on(struct sockaddr *address, socklen_t size)
{
    int listener = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(listener, address, size) < 0 || listen(listener, 4096) < 0 || getsockname(listener, address, &size) < 0) {
        perror("server");
        exit(1);
    }
    return listener;
}

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    struct sockaddr_un path = {.sun_family = AF_UNIX};
    struct sockaddr_in port = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    snprintf(path.sun_path, sizeof path.sun_path, "%s", argv[1]);
    kind = argv[2];
    source_bytes = argc > 3 ? strtoull(argv[3], NULL, 10) : 0;
    memset(block, 'x', sizeof block);
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    struct pollfd listeners[2] = {{.fd = listen_on((struct sockaddr *)&path, sizeof path), .events = POLLIN},
                                  {.fd = listen_on((struct sockaddr *)&port, sizeof port), .events = POLLIN}};
    printf("%d\n", ntohs(port.sin_port));
    fflush(stdout);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 1 << 17);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    while (poll(listeners, 2, -1) > 0)
        for (int i = 0; i < 2; i++)
            if (listeners[i].revents)
                accept_from(listeners[i].fd, &attributes);
    return 1;
}
