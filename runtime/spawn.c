/* Starting a child from a program of many threads: posix_spawn runs nothing of ours between fork
 * and exec. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/errno_internal.h"
#include "runtime/process_internal.h"

struct pipes {
    int in[2], out[2], err[2]; /* [0] is read from */
};

static void close_pipes(struct pipes *pipes)
{
    int *all[] = { pipes->in, pipes->out, pipes->err };
    for (size_t i = 0; i < 3; i++) {
        for (size_t end = 0; end < 2; end++) {
            if (all[i][end] >= 0) close(all[i][end]);
            all[i][end] = -1;
        }
    }
}

/* Both ends above 2: the child's 0, 1, 2 are made by dup2, which must not overwrite a pipe. */
static int pipe_above(int ends[2])
{
    if (pipe2(ends, O_CLOEXEC) != 0) {
        ends[0] = ends[1] = -1;
        return errno;
    }
    for (size_t end = 0; end < 2; end++) {
        if (ends[end] > STDERR_FILENO) continue;
        int high = fcntl(ends[end], F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
        if (high < 0) return errno;
        close(ends[end]);
        ends[end] = high;
    }
    return 0;
}

static int open_pipes(struct pipes *pipes)
{
    int rc = pipe_above(pipes->in);
    if (rc == 0) rc = pipe_above(pipes->out);
    if (rc == 0) rc = pipe_above(pipes->err);
    if (rc == 0 && (fcntl(pipes->in[1], F_SETFL, O_NONBLOCK) != 0 ||
                    fcntl(pipes->out[0], F_SETFL, O_NONBLOCK) != 0 ||
                    fcntl(pipes->err[0], F_SETFL, O_NONBLOCK) != 0))
        rc = errno;
    return rc;
}

static size_t count_of(const char *const *strings)
{
    size_t n = 0;
    while (strings != NULL && strings[n] != NULL)
        n++;
    return n;
}

static bool same_name(const char *a, const char *b)
{
    size_t len = strcspn(a, "=");
    return strncmp(a, b, len) == 0 && b[len] == '=';
}

/* The inherited environment with @more put over it; free() the array alone. */
static char **merged_environment(const char *const *more)
{
    const char *const *inherited = (const char *const *)environ;
    size_t inherited_count = count_of(inherited), more_count = count_of(more), n = 0;
    char **all = calloc(inherited_count + more_count + 1, sizeof *all);
    if (all == NULL) return NULL;
    for (size_t i = 0; i < inherited_count; i++) {
        bool replaced = false;
        for (size_t k = 0; k < more_count && !replaced; k++)
            replaced = same_name(more[k], inherited[i]);
        if (!replaced) all[n++] = (char *)inherited[i];
    }
    for (size_t k = 0; k < more_count; k++)
        all[n++] = (char *)more[k];
    return all;
}

static int set_actions(posix_spawn_file_actions_t *actions, const struct pipes *pipes)
{
    int rc = posix_spawn_file_actions_adddup2(actions, pipes->in[0], STDIN_FILENO);
    if (rc == 0) rc = posix_spawn_file_actions_adddup2(actions, pipes->out[1], STDOUT_FILENO);
    if (rc == 0) rc = posix_spawn_file_actions_adddup2(actions, pipes->err[1], STDERR_FILENO);
    /* Also what a library opened without O_CLOEXEC. */
    if (rc == 0) rc = posix_spawn_file_actions_addclosefrom_np(actions, STDERR_FILENO + 1);
    return rc;
}

static int set_attributes(posix_spawnattr_t *attributes)
{
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    int rc = posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                                      POSIX_SPAWN_SETSIGDEF);
    if (rc == 0) rc = posix_spawnattr_setpgroup(attributes, 0);
    if (rc == 0) rc = posix_spawnattr_setsigmask(attributes, &none);
    if (rc == 0) rc = posix_spawnattr_setsigdefault(attributes, &all);
    return rc;
}

static int spawn(const struct urd_child *child, const struct pipes *pipes, char **environment,
                 pid_t *ret_pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int rc = posix_spawn_file_actions_init(&actions);
    if (rc != 0) return rc;
    rc = posix_spawnattr_init(&attributes);
    if (rc != 0) goto out_actions;
    rc = set_actions(&actions, pipes);
    if (rc == 0) rc = set_attributes(&attributes);
    if (rc == 0)
        rc = posix_spawnp(ret_pid, child->argv[0], &actions, &attributes,
                          (char *const *)child->argv, environment);
    posix_spawnattr_destroy(&attributes);
out_actions:
    posix_spawn_file_actions_destroy(&actions);
    return rc;
}

/* Why a program cannot be started is told as one thing, save for what may pass. */
static urd_err start_error(int error)
{
    switch (error) {
    case ENOMEM:
        return URD_E_NOMEM;
    case EMFILE:
    case ENFILE:
    case EAGAIN:
        return URD_E_FULL;
    default:
        return URD_E_SYSTEM;
    }
}

void urd_child_spawn(struct urd_child *child)
{
    struct pipes pipes = { { -1, -1 }, { -1, -1 }, { -1, -1 } };
    char **environment = merged_environment(child->envp);
    int rc = environment == NULL ? ENOMEM : open_pipes(&pipes);
    pid_t pid = -1;
    if (rc == 0) rc = spawn(child, &pipes, environment, &pid);
    if (rc == 0) {
        /* Not reaped yet, so the number is still this child's. */
        child->pid_fd = (int)syscall(SYS_pidfd_open, pid, 0);
        if (child->pid_fd < 0) {
            rc = errno;
            (void)kill(-pid, SIGKILL);
            while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
                continue;
        }
    }
    free(environment);
    child->result = rc == 0 ? URD_OK : start_error(rc);
    if (rc == 0) {
        child->pid = pid;
        child->in_fd = pipes.in[1];
        child->out_fd = pipes.out[0];
        child->err_fd = pipes.err[0];
        pipes.in[1] = pipes.out[0] = pipes.err[0] = -1;
    }
    close_pipes(&pipes);
}
