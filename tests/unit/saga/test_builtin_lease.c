/* Leases: one holder at a time, tokens that only grow, and an end that never moves back. */
#include "tests/unit/saga/builtin_rig.h"

#define ACQUIRE(cx, rig, saga, step, ms)                                                           \
    ask(cx, rig, saga, step, SAGA_KIND_ACQUIRE, "{\"lease\":\"door\",\"ttl_ms\":" #ms "}")
#define RENEW(cx, rig, saga, step, ms)                                                             \
    ask(cx, rig, saga, step, SAGA_KIND_RENEW, "{\"lease\":\"door\",\"ttl_ms\":" #ms "}")
#define RELEASE(cx, rig, saga, step)                                                               \
    ask(cx, rig, saga, step, SAGA_KIND_RELEASE, "{\"lease\":\"door\"}")
#define HAS(token, until)                                                                          \
    "done {\"lease\":\"door\",\"token\":" #token ",\"until\":\"2023-11-14T22:13:" until "Z\"}"

static void held_in(struct urd_cx *cx, struct rig *rig)
{
    SAYS(ACQUIRE(cx, rig, 1, 0, 5000), HAS(1, "25.000"));
    SAYS(ACQUIRE(cx, rig, 2, 0, 5000),
         "retry lease 'door' is held by another for the next 5001 ms");
    SAYS(ACQUIRE(cx, rig, 1, 1, 5000),
         "fail! an earlier step of this saga holds lease 'door' already");
    SAYS(ask(cx, rig, 2, 1, SAGA_KIND_ACQUIRE, "{\"lease\":\"gate\",\"ttl_ms\":1}"),
         "done {\"lease\":\"gate\",\"token\":2,\"until\":\"2023-11-14T22:13:20.001Z\"}");
    rig->now_ns += 5000ll * MS; /* its time is up */
    SAYS(ACQUIRE(cx, rig, 2, 0, 1000), HAS(3, "26.000"));
    SAYS(RENEW(cx, rig, 1, 2, 5000), "fail! lease 'door' was lost: token 1 is no longer the one");
    SAYS(RELEASE(cx, rig, 1, 3), "done {\"released\":false}");
    SAYS(RENEW(cx, rig, 2, 2, 5000), HAS(3, "30.000"));
}
static void a_lease_has_one_holder_and_each_a_greater_token(void **state)
{
    perform(*state, held_in);
}

static void renew_in(struct urd_cx *cx, struct rig *rig)
{
    SAYS(ACQUIRE(cx, rig, 1, 0, 5000), HAS(1, "25.000"));
    SAYS(RENEW(cx, rig, 1, 1, 1000), HAS(1, "25.000")); /* never back */
    SAYS(RENEW(cx, rig, 1, 2, 8000), HAS(1, "28.000"));
    SAYS(undo(cx, rig, 1, 2, SAGA_KIND_RENEW), "done null"); /* nothing to do */
    SAYS(RENEW(cx, rig, 2, 0, 8000),
         "fail! this saga did not acquire lease 'door', and no 'token' is given");
    SAYS(ask(cx, rig, 2, 1, SAGA_KIND_RENEW, "{\"lease\":\"door\",\"ttl_ms\":9000,\"token\":1}"),
         HAS(1, "29.000")); /* it was handed over */
    SAYS(ask(cx, rig, 2, 2, SAGA_KIND_RENEW, "{\"lease\":\"door\",\"ttl_ms\":9000,\"token\":2}"),
         "fail! lease 'door' was lost: token 2 is no longer the one");
}
static void a_renew_takes_the_later_of_two_ends(void **state)
{
    perform(*state, renew_in);
}

static void release_in(struct urd_cx *cx, struct rig *rig)
{
    SAYS(RELEASE(cx, rig, 1, 0),
         "fail! this saga did not acquire lease 'door', and no 'token' is given");
    SAYS(ACQUIRE(cx, rig, 1, 1, 5000), HAS(1, "25.000"));
    SAYS(RELEASE(cx, rig, 1, 2), "done {\"released\":true}");
    SAYS(ACQUIRE(cx, rig, 2, 0, 5000), HAS(2, "25.000"));
    SAYS(undo(cx, rig, 1, 1, SAGA_KIND_ACQUIRE), "done null"); /* it is another's now */
    SAYS(ACQUIRE(cx, rig, 3, 0, 5000),
         "retry lease 'door' is held by another for the next 5001 ms");
    SAYS(ask(cx, rig, 3, 1, SAGA_KIND_RELEASE, "{\"lease\":\"door\",\"token\":1}"),
         "done {\"released\":false}");
    SAYS(ask(cx, rig, 3, 2, SAGA_KIND_RELEASE, "{\"lease\":\"door\",\"token\":2}"),
         "done {\"released\":true}");
    SAYS(ACQUIRE(cx, rig, 1, 3, 5000), HAS(3, "25.000"));
    SAYS(RENEW(cx, rig, 1, 4, 6000), HAS(3, "26.000"));
    SAYS(RELEASE(cx, rig, 1, 5), "done {\"released\":true}");
    SAYS(RELEASE(cx, rig, 1, 6), "done {\"released\":false}");
    SAYS(ACQUIRE(cx, rig, 1, 7, 5000), HAS(4, "25.000"));
    SAYS(RENEW(cx, rig, 1, 8, 6000), HAS(4, "26.000")); /* its newest */
}
static void only_who_has_the_token_gives_a_lease_back(void **state)
{
    perform(*state, release_in);
}

static void undo_in(struct urd_cx *cx, struct rig *rig)
{
    SAYS(ACQUIRE(cx, rig, 1, 0, 5000), HAS(1, "25.000"));
    SAYS(undo(cx, rig, 1, 0, SAGA_KIND_ACQUIRE), "done null");
    SAYS(ACQUIRE(cx, rig, 2, 0, 5000), HAS(2, "25.000"));
    end(cx, rig, 2, true); /* it outlives its saga */
    SAYS(ACQUIRE(cx, rig, 3, 0, 5000),
         "retry lease 'door' is held by another for the next 5001 ms");
    CHECK(keeps_s14(rig->w->store).open == 0);
}
static void an_undone_acquire_releases_and_an_ended_saga_does_not(void **state)
{
    perform(*state, undo_in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_BOTH(a_lease_has_one_holder_and_each_a_greater_token),
        ON_BOTH(a_renew_takes_the_later_of_two_ends),
        ON_BOTH(only_who_has_the_token_gives_a_lease_back),
        ON_BOTH(an_undone_acquire_releases_and_an_ended_saga_does_not),
    };
    return cmocka_run_group_tests_name("saga/builtin_lease", tests, NULL, NULL);
}
