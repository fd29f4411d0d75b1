/* runtime/process.h -- child processes and signals. */
#ifndef RUNTIME_PROCESS_H
#define RUNTIME_PROCESS_H

#include "runtime/cx.h"

struct urd_process_result {
    int exit_code; /* 0..255 when it exited; -1 when a signal ended it */
    int signal;    /* the signal, or 0 */
    char *out;     /* what it wrote on standard output, NUL-terminated; for free() */
    size_t out_len;
    char *err; /* likewise, standard error */
    size_t err_len;
};

/* Run @argv (argv[0] looked up in PATH) with @envp (NULL: inherited; else NAME=VALUE strings added
 * to it), feeding @in (borrowed) to its standard input and keeping at most @out_max bytes of each
 * output (more is read and dropped).  Blocks until it ended; at @deadline_ns or on a cancel it gets
 * SIGTERM, 2 s later SIGKILL, and is reaped, and the error is URD_E_TIMEOUT or URD_E_CANCELLED.
 * It leads a process group of its own, and what is left of that when it has ended is killed.
 * Errors besides: URD_E_SYSTEM it could not be started; URD_E_NOMEM; URD_E_DENIED. */
URD_MUST_USE urd_err urd_process_run(struct urd_cx *cx, const char *const *argv,
                                     const char *const *envp, const void *in, size_t in_len,
                                     size_t out_max, uint64_t deadline_ns,
                                     struct urd_process_result *ret);
void urd_process_result_done(struct urd_process_result *result);

/* Wait for one of the signals in the set given to urd_runtime_run() (default SIGINT, SIGTERM;
 * SIGPIPE is ignored always).  Blocks.  *@ret_signal is the number. */
URD_MUST_USE urd_err urd_signal_wait(struct urd_cx *cx, uint64_t deadline_ns, int *ret_signal);

#endif
