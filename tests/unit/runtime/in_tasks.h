/* For tests whose work is done by tasks: a task cannot fail a cmocka test by jumping off its stack,
 * so it checks with CHECK(), which ends the program. */
#ifndef TESTS_UNIT_RUNTIME_IN_TASKS_H
#define TESTS_UNIT_RUNTIME_IN_TASKS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "runtime/runtime.h"

#define CHECK(what)                                                                                \
    do {                                                                                           \
        if (!(what)) {                                                                             \
            (void)fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #what);               \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
/* How often, or how many: less where each costs more. */
#ifdef SANITIZED
#define SCALED(n) ((n) / 20 > 0 ? (n) / 20 : 1)
#else
#define SCALED(n) (n)
#endif

#define MS 1000000u

static const uint32_t worker_counts[] = { 1, 2, 4 };

__attribute__((unused)) static struct urd_outcome run_with(uint32_t workers, urd_task_fn body,
                                                           void *arg)
{
    static const int no_signals[] = { 0 };
    struct urd_runtime_options options = { .workers = workers, .seed = 7, .signals = no_signals };
    struct urd_outcome outcome = { URD_OUTCOME_PANICKED, URD_E_PANIC };
    assert_int_equal(urd_runtime_run(&options, body, arg, &outcome), URD_OK);
    return outcome;
}

/* Run @body with 1, 2 and 4 workers; it must succeed. */
__attribute__((unused)) static void run_all(urd_task_fn body, void *arg)
{
    for (unsigned i = 0; i < sizeof worker_counts / sizeof *worker_counts; i++) {
        struct urd_outcome outcome = run_with(worker_counts[i], body, arg);
        assert_int_equal(outcome.err, URD_OK);
        assert_int_equal(outcome.kind, URD_OUTCOME_OK);
    }
}

#endif
