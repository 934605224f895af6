/* The floor: starts the command in its arguments and copies bytes both ways without looking at them. What a bridge
 * costs beyond this is the price of the protocol. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BUFFER = 256 * 1024, PIPE_BYTES = 1024 * 1024 };

struct way {
    int from, to; /* -1 once closed */
    size_t start, end;
    char bytes[BUFFER];
};

static struct way up, down;

static void prepare(int fd)
{
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    fcntl(fd, F_SETPIPE_SZ, PIPE_BYTES); /* refused where the user's share is used up: then it stays as it is */
}

static void way_end(struct way *way)
{
    close(way->from);
    close(way->to);
    way->from = way->to = -1;
}

static bool would_wait(void)
{
    return errno == EAGAIN || errno == EINTR;
}

/* Reads when empty, writes what it has, until one side would block. */
static void way_turn(struct way *way)
{
    while (way->from >= 0) {
        if (way->start == way->end) {
            ssize_t got = read(way->from, way->bytes, BUFFER);
            if (got < 0 && would_wait())
                return;
            if (got <= 0) {
                way_end(way);
                return;
            }
            way->start = 0;
            way->end = (size_t)got;
        }
        ssize_t done = write(way->to, way->bytes + way->start, way->end - way->start);
        if (done < 0 && would_wait())
            return;
        if (done < 0) {
            way_end(way);
            return;
        }
        way->start += (size_t)done;
    }
}

static struct pollfd way_wants(const struct way *way)
{
    if (way->start == way->end)
        return (struct pollfd){.fd = way->from, .events = POLLIN};
    return (struct pollfd){.fd = way->to, .events = POLLOUT};
}

static pid_t start(char **command, int *to, int *from)
{
    int in[2], out[2];
    if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0)
        return -1;
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(in[0], STDIN_FILENO);
        dup2(out[1], STDOUT_FILENO);
        execv(command[0], command);
        perror(command[0]);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    *to = in[1];
    *from = out[0];
    return pid;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: relay COMMAND [ARGUMENT...]\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    up.from = STDIN_FILENO;
    down.to = STDOUT_FILENO;
    if (start(argv + 1, &up.to, &down.from) < 0) {
        perror("relay");
        return 1;
    }
    for (const int *fd = (int[]){up.from, up.to, down.from, down.to, -1}; *fd >= 0; fd++)
        prepare(*fd);
    while (down.from >= 0) {
        struct pollfd wants[2] = {way_wants(&up), way_wants(&down)};
        if (poll(wants, 2, -1) < 0 && errno != EINTR)
            return 1;
        if (wants[0].revents)
            way_turn(&up);
        if (wants[1].revents)
            way_turn(&down);
    }
    int status = 0;
    if (wait(&status) < 0)
        return 1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
