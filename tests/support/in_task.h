/* tests/support/in_task.h -- run a test's body as a task; check from within one.
 *
 * cmocka's assertions jump to the test's own stack, which a task must not: CHECK prints and aborts.
 */
#ifndef TESTS_SUPPORT_IN_TASK_H
#define TESTS_SUPPORT_IN_TASK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "runtime/runtime.h"

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

#define CHECK_ERR(call, expected)                                                                  \
    do {                                                                                           \
        urd_err check_err_ = (call);                                                               \
        if (check_err_ != (expected)) {                                                            \
            fprintf(stderr, "%s:%d: %s: %s, not %s\n", __FILE__, __LINE__, #call,                  \
                    urd_err_name(check_err_), urd_err_name(expected));                             \
            abort();                                                                               \
        }                                                                                          \
    } while (0)
#define CHECK_OK(call) CHECK_ERR(call, URD_OK)

#define MS UINT64_C(1000000) /* in nanoseconds */

/* Run @body(@arg) on two workers in @world (NULL: the real one); it must end well. */
static inline void run_in_world(const struct urd_world *world, urd_task_fn body, void *arg)
{
    const struct urd_runtime_options options = { .workers = 2, .world = world };
    struct urd_outcome outcome;
    assert_int_equal(urd_runtime_run(&options, body, arg, &outcome), URD_OK);
    assert_int_equal(outcome.kind, URD_OUTCOME_OK);
}

static inline void run_in_task(urd_task_fn body, void *arg)
{
    run_in_world(NULL, body, arg);
}

#endif
