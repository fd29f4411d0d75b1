/* Stacks: deep enough, guarded at the end, taken when a task begins and used again when it ends. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/stack_internal.h"
#include "runtime/sync.h"
#include "tests/unit/runtime/in_tasks.h"

/* Use @bytes of stack, touching all of it. */
static __attribute__((noinline)) unsigned use_stack(uint32_t bytes)
{
    volatile char frame[1024];
    memset((void *)(uintptr_t)frame, (int)bytes, sizeof frame);
    unsigned sum = (unsigned char)frame[bytes % sizeof frame];
    if (bytes > sizeof frame) sum += use_stack(bytes - (uint32_t)sizeof frame);
    return sum + (unsigned char)frame[0];
}

static urd_err uses(struct urd_cx *cx, void *arg)
{
    (void)cx;
    (void)use_stack(*(uint32_t *)arg);
    return URD_OK;
}

static urd_err use_all_classes(struct urd_cx *cx, void *arg)
{
    (void)arg;
    static uint32_t bytes[] = {
        [URD_STACK_DEFAULT] = 40 << 10, [URD_STACK_SMALL] = 8 << 10, [URD_STACK_LARGE] = 160 << 10
    };
    struct urd_outcome outcome;
    URD_REGION(r);
    if (!urd_region_open(cx, NULL, r)) return URD_E_NOMEM;
    for (int i = 0; i < 300; i++) {
        struct urd_spawn_options options = { .stack = (enum urd_stack_class)(i % 3) };
        CHECK(urd_spawn(cx, urd_region_scope(r), &options, uses, &bytes[i % 3]) == URD_OK);
    }
    urd_region_join(cx, r, &outcome);
    CHECK(outcome.kind == URD_OUTCOME_OK);
    return URD_OK;
}

static void a_stack_of_each_class_holds_what_it_says(void **state)
{
    (void)state;
    run_all(use_all_classes, NULL);
}

static urd_err waits(struct urd_cx *cx, void *arg)
{
    return urd_event_wait(cx, arg, URD_FOREVER);
}

/* Run a little off a stack that has a neighbour below: into the guard, not yet beyond it. */
static urd_err overflows(struct urd_cx *cx, void *arg)
{
    static const uint32_t sizes[] = {
        [URD_STACK_DEFAULT] = 64 << 10, [URD_STACK_SMALL] = 16 << 10, [URD_STACK_LARGE] = 256 << 10
    };
    struct urd_spawn_options options = { .stack = *(enum urd_stack_class *)arg };
    uint32_t bytes = sizes[options.stack] * URD_STACK_SCALE + 4096;
    struct urd_event go = URD_EVENT_INIT;
    URD_REGION(r);
    if (!urd_region_open(cx, NULL, r)) return URD_E_NOMEM;
    for (int i = 0; i < 3; i++)
        CHECK(urd_spawn(cx, urd_region_scope(r), &options, waits, &go) == URD_OK);
    CHECK(urd_sleep(cx, 2 * MS) == URD_OK);
    CHECK(urd_spawn(cx, urd_region_scope(r), &options, uses, &bytes) == URD_OK);
    CHECK(urd_sleep(cx, 2 * MS) == URD_OK);
    urd_event_set(&go);
    urd_region_join(cx, r, NULL);
    return URD_OK;
}

static void running_off_a_stack_is_a_fault(void **state)
{
    (void)state;
    for (unsigned c = 0; c < URD_STACK_CLASSES; c++) {
        enum urd_stack_class class = (enum urd_stack_class)c;
        int status = 0;
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            struct rlimit no_core = { 0, 0 };
            (void)setrlimit(RLIMIT_CORE, &no_core);
            if (freopen("/dev/null", "w", stderr) == NULL) _exit(3); /* a sanitizer's report */
            (void)signal(SIGSEGV, SIG_DFL);
            (void)run_with(1, overflows, &class);
            _exit(0);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
    }
}

struct place {
    uintptr_t address;
    struct urd_event *wait; /* NULL: do not */
    uint32_t *begun;
};

static urd_err where_am_i(struct urd_cx *cx, void *arg)
{
    struct place *place = arg;
    ++*place->begun;
    place->address = (uintptr_t)__builtin_frame_address(0);
    return place->wait != NULL ? urd_event_wait(cx, place->wait, URD_FOREVER) : URD_OK;
}

#define TASKS 1000

/* One after the other they run on the same stack; all at once on one each. */
static urd_err compare_places(struct urd_cx *cx, void *arg)
{
    (void)arg;
    static struct place places[TASKS];
    struct urd_event go = URD_EVENT_INIT;
    for (int waiting = 0; waiting < 2; waiting++) {
        uint32_t begun = 0;
        URD_REGION(r);
        if (!urd_region_open(cx, NULL, r)) return URD_E_NOMEM;
        for (int i = 0; i < TASKS; i++) {
            places[i] = (struct place){ 0, waiting ? &go : NULL, &begun };
            CHECK(urd_spawn(cx, urd_region_scope(r), NULL, where_am_i, &places[i]) == URD_OK);
        }
        while (waiting && begun < TASKS)
            CHECK(urd_yield(cx) == URD_OK);
        urd_event_set(&go);
        urd_region_join(cx, r, NULL);
        int same = 0;
        for (int i = 1; i < TASKS; i++)
            same += places[i].address == places[0].address;
        CHECK(same == (waiting ? 0 : TASKS - 1));
        urd_event_reset(&go);
    }
    return URD_OK;
}

static void a_stack_is_attached_when_a_task_first_runs_and_used_again(void **state)
{
    (void)state;
    assert_int_equal(run_with(1, compare_places, NULL).kind, URD_OUTCOME_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(running_off_a_stack_is_a_fault), /* forks: before any thread */
        cmocka_unit_test(a_stack_of_each_class_holds_what_it_says),
        cmocka_unit_test(a_stack_is_attached_when_a_task_first_runs_and_used_again),
    };
    return cmocka_run_group_tests_name("runtime/stack", tests, NULL, NULL);
}
