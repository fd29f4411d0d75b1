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

/* Run @body(@arg) on @workers in @world (NULL: the real one); it must end well. */
static inline void run_on(uint32_t workers, const struct urd_world *world, urd_task_fn body,
                          void *arg)
{
    const struct urd_runtime_options options = { .workers = workers, .world = world };
    struct urd_outcome outcome;
    assert_int_equal(urd_runtime_run(&options, body, arg, &outcome), URD_OK);
    assert_int_equal(outcome.kind, URD_OUTCOME_OK);
}

/* Once, on two workers. */
static inline void run_in_world(const struct urd_world *world, urd_task_fn body, void *arg)
{
    run_on(2, world, body, arg);
}

/* In the real world, three times: on one worker, on two, on four. */
static inline void run_in_task(urd_task_fn body, void *arg)
{
    for (uint32_t workers = 1; workers <= 4; workers *= 2)
        run_on(workers, NULL, body, arg);
}

#endif
