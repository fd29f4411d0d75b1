/* The only real clock and the only real entropy. */
#include "runtime/world.h"

#include <assert.h>
#include <errno.h>
#include <sys/random.h>
#include <time.h>

static uint64_t monotonic_ns(void *impl)
{
    (void)impl;
    struct timespec now;
    int rc = clock_gettime(CLOCK_MONOTONIC, &now);
    assert(rc == 0);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int64_t wall_ns(void *impl)
{
    (void)impl;
    struct timespec now;
    int rc = clock_gettime(CLOCK_REALTIME, &now);
    assert(rc == 0);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static urd_err fill(void *impl, void *ret, size_t len)
{
    (void)impl;
    char *at = ret;
    while (len > 0) {
        ssize_t n = getrandom(at, len, 0);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return URD_E_SYSTEM;
        at += n;
        len -= (size_t)n;
    }
    return URD_OK;
}

struct urd_world urd_world_real(void)
{
    static const struct urd_clock_ops clock = { .monotonic_ns = monotonic_ns, .wall_ns = wall_ns };
    static const struct urd_entropy_ops entropy = { .fill = fill };
    return (struct urd_world){ .clock = &clock, .entropy = &entropy };
}
