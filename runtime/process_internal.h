/* runtime/process_internal.h -- starting a child with three pipes and a pidfd. */
#ifndef RUNTIME_PROCESS_INTERNAL_H
#define RUNTIME_PROCESS_INTERNAL_H

#include <sys/types.h>

#include "runtime/error.h"

struct urd_child {
    const char *const *argv, *const *envp;
    /* Written by urd_child_spawn(), when result is URD_OK. */
    pid_t pid;                         /* leader of a process group of its own */
    int pid_fd, in_fd, out_fd, err_fd; /* ours, the pipes non-blocking */
    urd_err result;
};

/* Start @child.  Blocks the thread until the exec has happened: blocking pool only.
 * Result: URD_E_SYSTEM not to be started; URD_E_FULL no descriptors; URD_E_NOMEM. */
void urd_child_spawn(struct urd_child *child);

#endif
